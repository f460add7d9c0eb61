"""What `timmy doctor` says of Redis, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.findings import Severity, check, refused
from bot.parts.far import RedisLook, look_at_redis
from config.settings import is_loopback
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.findings import Finding
    from config.settings import Settings


async def ask_redis(settings: Settings) -> RedisLook | HubError | None:
    """What is seen of it, or why nothing is; None where there is none."""
    try:
        return await look_at_redis(settings)
    except HubError as error:
        return error


def redis(settings: Settings, asked: RedisLook | HubError | None) -> Iterator[Finding]:
    """Whether it can be used, keeps what it is given, and is closed to others."""
    if asked is None or settings.redis.url is None:
        return
    if not isinstance(asked, RedisLook):
        yield refused("redis.answers", asked)
    else:
        yield check("redis.answers", f"{asked.version} at {asked.where}")
        wrong = (
            f"once it is full it throws away what is on its way (maxmemory-policy {asked.evicts})"
            if asked.evicts
            else ""
        )
        fix = "Set its maxmemory-policy to noeviction, or give Timmy a Redis of its own."
        yield check("redis.keeps", "it throws nothing away", wrong, fix, Severity.WARNING)
    url = urlsplit(settings.redis.url.get_secret_value())
    is_open = url.password is None and url.scheme != "unix" and not is_loopback(url.hostname or "")
    wrong = "it asks for no password: whoever reaches it can act as any worker" if is_open else ""
    yield check(
        "redis.private", "not everybody gets in", wrong, "docs/gateway.md says which user to make.", Severity.WARNING
    )
