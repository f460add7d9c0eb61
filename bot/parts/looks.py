"""What can be seen of a hub that runs or does not: `timmy doctor` and `timmy ledger` ask here, as a start would."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from adapters import folder
from adapters.clockwork import SystemClock, SystemIds
from adapters.lightning.simulated import SimulatedLook
from adapters.speech import engines
from adapters.sqlite.connection import BookGone
from adapters.sqlite.offline import NoBook, check, look
from bot.parts import nodes
from bot.parts.models import ModelLook, servers
from bot.serving import underpaid
from config import personas
from core.agent.model import named
from core.errors import Broken, HubError, UserError
from core.wallet.lightning import NodeDown
from core.wallet.node import node_account, same_node
from core.wallet.reconcile import LOOKS, said

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.llm.server import ModelServer
    from adapters.sqlite.unit_of_work import UnitOfWork
    from config.settings import Settings
    from core.wallet.lightning import Lightning


__all__ = [
    "DATABASE", "BookGone", "NodeLook", "gate_port", "look_at_books", "look_at_channels", "look_at_data",
    "look_at_gate", "look_at_models", "look_at_network", "look_at_node", "look_at_pages", "look_at_port", "look_at_price",
    "look_at_workspace", "look_from_outside", "speech_lacks",
]  # fmt: skip

DATABASE = "hub.db"

LOOK_SECONDS = 5
"""How long `timmy doctor` waits for a node."""

R = TypeVar("R")


def look_at_books(settings: Settings, work: Callable[[UnitOfWork], R]) -> R:
    """Read a data folder's books, whether its hub runs or not. Raises what `look` does."""
    return look(settings.data_dir / DATABASE, work)


def look_at_pages(settings: Settings) -> None:
    """Read a database whole. Raises what `look` does."""
    check(settings.data_dir / DATABASE)


def look_at_data(settings: Settings) -> None:
    """Raises `NotADataFolder` as a start would of a data folder that is there, and `NoFolder`."""
    folder.refuse_others(settings.data_dir)


def look_at_workspace(settings: Settings) -> None:
    """Raises `NoFolder` as a start would."""
    folder.keep_apart(settings.workspace, settings.data_dir)


def look_at_network(settings: Settings) -> str | None:
    """The network that the books are of; None: there are none yet.

    Raises `OtherBook` as a start would, and what `look` does.
    """
    try:
        found = look_at_books(settings, lambda tx: tx.books.identity())
    except NoBook:
        return None
    nodes.same_kind(settings, found)
    return found[0] if found else None


async def look_at_port(settings: Settings) -> None:
    """Raises `PortInUse` or `CannotListen` as a start would."""
    from adapters.web.server import Site, probe  # noqa: PLC0415 - as in `sidecar`

    await probe(Site(settings.http.host, settings.http.port))


async def gate_port(settings: Settings) -> None:
    """Raises `PortInUse` or `CannotListen` as opening the gate would."""
    from adapters.web.listening import Site, probe  # noqa: PLC0415 - as in `sidecar`

    await probe(Site(settings.serve.host, settings.serve.port, group="SERVE"))


def look_at_price(settings: Settings) -> str:
    """What is wrong with the price of a call at the gate."""
    return underpaid(settings.serve.price, personas.load())


async def look_at_gate(settings: Settings, listens: str = "") -> str:
    """Why strangers do not reach the gate of a running hub; empty if they do. `listens`: where it says that it does."""
    from adapters.web.reach import unreached  # noqa: PLC0415 - as in `sidecar`

    serve, host = settings.serve, settings.serve.host.strip("[]")
    here = f"http://[{host}]:{serve.port}" if ":" in host else f"http://{host}:{serve.port}"
    return await unreached(serve.public_url or listens or here, "/health")


class NodeLook(NamedTuple):
    """Whose node it is, how it is behind the chain, and what its keys lack for what the hub does; empty: none yet, or nothing.

    `difference`: what it has more than the books say, msat; None where that is not known.
    """

    who: str = ""
    behind: str = ""
    lacks: str = ""
    difference: int | None = None


async def look_at_node(settings: Settings) -> NodeLook:
    """The node that the settings name.

    Raises `NodeDown`, and what a start would: `BadMacaroon`, `BadCertificate`, `BadConnection`, `OtherNode`.
    """
    clock, known = SystemClock(), None
    with contextlib.suppress(HubError):  # what is wrong with the books is said of them
        known = look_at_books(settings, lambda tx: tx.books.identity())
    simulated = settings.lightning.backend == nodes.SIMULATED
    if simulated and known is None:
        return NodeLook()
    node: Lightning | SimulatedLook = (
        SimulatedLook(settings.data_dir / nodes.NODE)
        if simulated
        else nodes.named(settings, clock, SystemIds(), clock.now())
    )
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            found = await node.info()
            same_node(known, found)
            difference = None if known is None else await _difference(settings, node)
    except TimeoutError:
        raise NodeDown(backend=node.backend, why=f"no answer within {LOOK_SECONDS} s") from None
    finally:
        await node.close()
    lacks = nodes.macaroons(settings).lacking() if node.backend == "lnd" else ""
    return NodeLook(f"{found.network} ({found.node})", found.behind, lacks, difference)


async def _difference(settings: Settings, node: Lightning | SimulatedLook) -> int | None:
    """What a node has more than the books say, msat; None where sats kept moving, or the wallet tells nobody what it has."""
    account = node_account(node.backend)
    with contextlib.suppress(Broken, UserError):
        before = look_at_books(settings, lambda tx: said(tx, account))
        for _ in range(LOOKS):
            has = await node.balance()
            now = look_at_books(settings, lambda tx: said(tx, account))
            if now == before:
                return now.compared(has, 0).difference
            before = now
    return None


async def look_from_outside(settings: Settings) -> str:
    """Why a running hub is not reached by its public address; empty if it is."""
    from adapters.web.reach import unreached  # noqa: PLC0415 - as in `sidecar`

    return await unreached(settings.http.public_url) if settings.http.public_url else "it has no public address"


async def look_at_channels(settings: Settings) -> dict[str, str]:
    """Of each channel why Apprise cannot use its URL; empty where it can."""
    named = settings.notify.named
    if not named:
        return {}
    from adapters.apprise.surface import ask  # noqa: PLC0415 - where there are channels

    return {name: (await ask(url, ""))["why"] for name, url in named.items()}


def speech_lacks(settings: Settings) -> tuple[str, str]:
    """Why the engines that were chosen cannot hear, and cannot speak; empty where they can."""
    speech = settings.speech
    return engines.ear_missing(speech.stt, speech.model_dir), engines.mouth_missing(speech.tts, speech.model_dir)


async def look_at_models(settings: Settings) -> list[ModelLook]:
    """Each model server as it is now, in the order in which they are asked."""
    return [await _look_at(name, server) for name, server in servers(settings, SystemClock()).items()]


async def _look_at(name: str, server: ModelServer) -> ModelLook:
    async with server:
        if why := await server.check():
            return ModelLook(name, server.url, why)
        try:
            own, installed = await server.default(), await server.models()  # which wait longer for their answer
        except HubError as error:
            return ModelLook(name, server.url, str(error))
        if not named(own, installed):
            return ModelLook(name, server.url, str(server.missing(model=own, url=server.url)))
        return ModelLook(name, server.url, "", own, await server.card(own))
