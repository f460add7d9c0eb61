"""What `timmy doctor` sees of Redis. It asks, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import exceptions as wrong

from adapters.redis.wire import HUBS, RedisReadOnly, RedisUnfit

if TYPE_CHECKING:
    from adapters.redis.wire import Link

OLDEST = (6, 2)


async def look(link: Link) -> tuple[str, str]:
    """Its version, and by which policy it throws away what it holds once it is full (empty: it does not).

    Raises why it is of no use.
    """
    async with link.opened() as (redis, _):
        await redis.say("SMEMBERS", HUBS)
        try:
            facts = await redis.say("INFO")
        except wrong.NoPermissionError:  # a user need not have it
            return "a version that its user may not ask for", ""
        version = str(facts["redis_version"])
        if tuple(map(int, version.split(".")[:2])) < OLDEST:
            raise RedisUnfit(where=link.where, why=f"it is version {version}")
        if facts["role"] != "master":
            raise RedisReadOnly(where=link.where)
        policy = str(facts["maxmemory_policy"])
        return version, (policy if facts["maxmemory"] and policy != "noeviction" else "")
