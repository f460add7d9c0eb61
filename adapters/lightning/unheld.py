"""A backend without held invoices: what its traits deny."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from core.wallet.lightning import CannotDo

if TYPE_CHECKING:
    from core.wallet.lightning import NodeInvoice


class Unheld:
    """`core.wallet.lightning.Holds`, denied."""

    backend: str

    async def create_hold(self, *_: object, **__: object) -> NodeInvoice:
        """See `Holds`. Raises `CannotDo`."""
        self._deny("hold invoices")

    async def settle_hold(self, *_: object, **__: object) -> None:
        """See `Holds`. Raises `CannotDo`."""
        self._deny("hold invoices")

    async def cancel_invoice(self, *_: object, **__: object) -> None:
        """See `Holds`. Raises `CannotDo`."""
        self._deny("take an invoice back")

    def _deny(self, what: str) -> NoReturn:
        raise CannotDo(backend=self.backend, what=what)
