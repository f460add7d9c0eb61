"""How often somebody may do something: a bucket of tokens for each, and a bounded memory of who that was. Pure."""

from __future__ import annotations

from collections import OrderedDict

_MINUTE = 60_000


class Pace:
    """At most `burst` at once and `per_minute` on average, for each name; of `most` names, the longest unseen is forgotten."""

    def __init__(self, per_minute: int, burst: int, most: int = 4096) -> None:
        self._rate = per_minute
        self._full = burst * _MINUTE
        self._most = most
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, name: str, now: int) -> int:
        """Take one at `now` (Unix ms): 0, or how many ms to wait for the next."""
        left, at = self._seen.pop(name, (self._full, now))
        left = min(self._full, left + max(0, now - at) * self._rate)
        wait = max(0, _MINUTE - left)
        self._seen[name] = (left if wait else left - _MINUTE, now)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return -(-wait // self._rate)
