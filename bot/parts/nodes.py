"""The Lightning node that the settings name. What speaks with a real one is imported only where it is chosen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from adapters.lightning.simulated import SimulatedNode
from adapters.lightning.simulated_file import refuse_gone
from config.log import hide
from core.errors import UserError
from core.wallet.node import is_keyless

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

    from pydantic import SecretStr

    from adapters.lightning.lnd_macaroons import Macaroons
    from adapters.sqlite.writer import Database
    from config.settings import Settings
    from core.ports import Clock, IdSource
    from core.wallet.lightning import Lightning


SIMULATED = "simulated"

NODE = "node.db"
"""What a simulated node keeps; apart from the books, as with any node."""


class OtherBook(UserError):
    """The book in {folder} belongs to {theirs}, and the settings name {ours}. Set TIMMY_DATA_DIR to another folder, or {remedy}."""


def same_kind(settings: Settings, found: tuple[str, str] | None) -> None:
    """Raise `OtherBook` where books of simulated sats meet a real node, or the other way round."""
    backend = settings.lightning.backend
    if found is None or (found[0] == SIMULATED) == (backend == SIMULATED):
        return
    remedy = f"TIMMY_LIGHTNING_BACKEND={SIMULATED}" if found[0] == SIMULATED else "name that node"
    raise OtherBook(folder=settings.data_dir, theirs=f"{found[0]} ({found[1]})", ours=backend, remedy=remedy)


def kept(settings: Settings) -> tuple[Path, ...]:
    """The files of a node that is the hub's own."""
    return (settings.data_dir / NODE,) if settings.lightning.backend == SIMULATED else ()


async def opened(
    settings: Settings, stack: contextlib.AsyncExitStack, store: Database, clock: Clock, ids: IdSource
) -> Lightning:
    """The Lightning node that the settings name. Nothing is asked of it yet.

    Raises `BadMacaroon`, `BadCertificate` and `BadConnection` where it could not be asked anything, and `NodeGone`.
    """
    since, last, known = await store.read(lambda tx: (tx.books.opened_at(), tx.books.newest_at(), tx.books.identity()))
    if settings.lightning.backend == SIMULATED and known is not None and not is_keyless(known):
        refuse_gone(settings.data_dir / NODE)
    node = named(settings, clock, ids, since or clock.now(), (store, last or clock.now()))
    stack.push_async_callback(node.close)
    return node


def named(
    settings: Settings, clock: Clock, ids: IdSource, opened: int, books: tuple[Database, int] | None = None
) -> Lightning:
    """The same. `opened`: since when what it did is news, Unix ms; `books`: where open invoices are, and the newest entry."""
    match settings.lightning.backend:
        case "lnd":
            return _lnd(settings)
        case "nwc":
            return _nwc(settings, clock, opened, books)
        case "phoenixd":
            return _phoenixd(settings, opened)
        case "simulated":
            return SimulatedNode(settings.data_dir / NODE, clock, ids)
        case _:
            assert_never(settings.lightning.backend)


def _hidden(secret: SecretStr | None) -> str:
    """A secret that is masked in the log from now on."""
    value = secret.get_secret_value() if secret else ""
    hide(value)
    return value


def _nwc(settings: Settings, clock: Clock, opened: int, books: tuple[Database, int] | None) -> Lightning:
    from adapters.lightning.nwc import Books, Nwc  # noqa: PLC0415 - where it is on

    uri = _hidden(settings.nwc.uri)
    for secret in re.findall(r"secret=([0-9a-fA-F]+)", uri):
        hide(secret)
    known = None
    if books is not None:
        store, last = books
        known = Books(lambda after: store.read(lambda tx: tx.invoices.oldest_open(after)), last)
    return Nwc(uri, clock=clock, since=opened, books=known)


def _phoenixd(settings: Settings, opened: int) -> Lightning:
    from adapters.lightning.phoenixd import Phoenixd  # noqa: PLC0415 - where it is on

    return Phoenixd(settings.phoenixd.url, _hidden(settings.phoenixd.password), since=opened)


def _lnd(settings: Settings) -> Lightning:
    from adapters.lightning.lnd import Lnd  # noqa: PLC0415 - where it is on

    return Lnd(settings.lnd.url or "", settings.lnd.tls_cert_path, macaroons(settings))


def macaroons(settings: Settings) -> Macaroons:
    """The keys to LND."""
    from adapters.lightning.lnd_macaroons import Macaroons  # noqa: PLC0415 - where it is on

    found = settings.lnd
    return Macaroons(*(_hidden(one) for one in (found.macaroon_read, found.macaroon_receive, found.macaroon_pay)))
