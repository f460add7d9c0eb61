"""The hub's side of Redis, where there is one: its gateways are served by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from adapters import folder
from config.log import hide

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from adapters.clockwork import Nursery
    from adapters.redis.office import Office
    from adapters.redis.wire import Link
    from adapters.sqlite.writer import Database
    from config.settings import Settings
    from core.ports import IdSource
    from core.swarm.desk import Desk
    from core.swarm.ports import ResultFile
    from core.tokens import TokenRow

ID = "hub.id"
"""The file in the data folder that holds what this hub is called in Redis."""


def link(settings: Settings, who: str) -> Link | None:
    """The way to Redis, if there is one. Its library is 0.1 s, which nobody else need pay."""
    if settings.redis.url is None:
        return None
    from adapters.redis.wire import Link  # noqa: PLC0415 - as it says

    url = settings.redis.url.get_secret_value()
    hide(url)
    if password := urlsplit(url).password:
        hide(password)
        hide(unquote(password))
    return Link(url, who)


class RedisLook(NamedTuple):
    """Where Redis is, its version, and by which policy it throws away what it holds once it is full (empty: it does not)."""

    where: str
    version: str
    evicts: str = ""


async def look_at_redis(settings: Settings) -> RedisLook | None:
    """The Redis that the settings name, if they name one. Raises why it is of no use."""
    if (way := link(settings, "timmy-doctor")) is None:
        return None
    from adapters.redis.look import look  # noqa: PLC0415 - as in `link`

    return RedisLook(way.where, *await look(way))


def office(  # noqa: PLR0913 - what serves workers, and what everything is made of
    settings: Settings,
    store: Database,
    desk: Desk,
    check: Callable[[str], Awaitable[TokenRow | None]],
    keep: Callable[[Sequence[tuple[str, bytes]]], Awaitable[tuple[ResultFile, ...]]],
    *,
    ids: IdSource,
    nursery: Nursery,
) -> Office | None:
    """What serves gateways, if there may be any."""
    if (way := link(settings, "timmy-hub")) is None:
        return None
    from adapters.redis.office import Office  # noqa: PLC0415 - as in `link`
    from adapters.redis.service import Service  # noqa: PLC0415
    from adapters.redis.wire import Keys  # noqa: PLC0415

    keys = Keys(folder.secret(settings.data_dir, ID, ids)[:12])
    made = Office(way, keys, desk, Service(way, keys, desk, check, keep), run=ids.token(6), spawner=nursery)
    store.listen(made.heard)
    return made
