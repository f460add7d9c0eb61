"""How often somebody may do something: a bucket of tokens for each, and a bounded memory of who that was. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

_MINUTE = 60_000


class Pace:
    """At most `burst` at once and `per_minute` on average, for each name; of `most` names, the longest unseen is forgotten.

    `minute` is how long one lasts, ms.
    """

    def __init__(self, per_minute: int, burst: int, most: int = 4096, minute: int = _MINUTE) -> None:
        self._rate = per_minute
        self._minute = minute
        self._full = burst * minute
        self._most = most
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def wait(self, name: str, now: int) -> int:
        """How many ms to wait for the next at `now` (Unix ms), and take none."""
        return -(-max(0, self._minute - self._left(name, now)) // self._rate)

    def take(self, name: str, now: int) -> int:
        """Take one at `now` (Unix ms): 0, or how many ms to wait for the next."""
        left, wait = self._left(name, now), self.wait(name, now)
        self._seen[name] = (left if wait else left - self._minute, now)
        self._seen.move_to_end(name)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return wait

    def _left(self, name: str, now: int) -> int:
        left, at = self._seen.get(name, (self._full, now))
        return min(self._full, left + max(0, now - at) * self._rate)


class Asker(NamedTuple):
    """Who asks: an address (of IPv6, a household's network), the network round it, and a token that was paid, if they hold one."""

    address: str
    network: str
    holds: str = ""


class Shares:
    """Who gets of what there is for all, 120 a minute, so that few cannot have it all.

    Half is for whoever comes first; an address gets 10 of it, and a network of many addresses 30. A third is for networks that had
    little lately: one in 5 minutes each, when the half is used up. A sixth is for those who hold a token that was paid, 5 each. To
    keep out all others takes some 200 networks at a time, and those who paid before are served even then.
    """

    def __init__(self) -> None:
        self._addresses = Pace(per_minute=10, burst=10)
        self._networks = Pace(per_minute=30, burst=30)
        self._seldom = Pace(per_minute=1, burst=1, minute=5 * _MINUTE)
        self._holders = Pace(per_minute=5, burst=5)
        self._lanes = {
            name: Pace(per_minute=each, burst=each) for name, each in (("all", 60), ("seldom", 40), ("holders", 20))
        }

    def __len__(self) -> int:
        return sum(map(len, (self._addresses, self._networks, self._seldom, self._holders)))

    def take(self, who: Asker, now: int) -> int:
        """Take one at `now` (Unix ms): 0, or how many ms to wait for the next."""
        own = [(self._addresses, who.address), (self._networks, who.network)]
        ways = [
            [*own, (self._lanes["all"], "")],
            [*own, (self._seldom, who.network), (self._lanes["seldom"], "")],
        ]
        if who.holds:
            ways.insert(0, [(self._holders, who.holds), (self._lanes["holders"], "")])
        waits = []
        for way in ways:
            wait = max(pace.wait(name, now) for pace, name in way)
            if not wait:
                for pace, name in way:
                    pace.take(name, now)
                return 0
            waits.append(wait)
        return min(waits)
