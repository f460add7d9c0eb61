"""Pages of the internet, and of nothing else: the one way in which the hub fetches what somebody else named (GUARANTEES)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.ports import Page


class Internet:
    """`core.ports.Fetcher` for a hub: what it takes is loaded with the first page."""

    def check(self, url: str) -> None:
        """See `Fetcher`."""
        from adapters.fetch.addresses import Reach, checked  # noqa: PLC0415 - as below

        checked(url, Reach())

    async def get(self, url: str, *, authorization: str = "") -> Page:
        """See `Fetcher`."""
        from adapters.fetch.fetcher import PageFetcher  # noqa: PLC0415 - few hubs buy anything

        return await PageFetcher().get(url, authorization=authorization)
