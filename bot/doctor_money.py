"""What `timmy doctor` says of money: which sats these are, whose node answers, by which rights, whether the gate can sell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.findings import Severity, check, refused
from bot.parts.looks import NodeLook, gate_port, look_at_books, look_at_gate, look_at_node, look_at_price
from bot.parts.nodes import SIMULATED
from config.settings import is_loopback
from core.errors import HubError, UserError
from core.ids import task_name
from core.money import format_sats, to_msat
from core.wallet.held import refusals
from core.wallet.hold import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.findings import Finding
    from config.settings import Settings
    from core.wallet.hold import HoldInvoice

_DOCS = {"lnd": "docs/lightning.md", "nwc": "docs/lightning-wallets.md", "phoenixd": "docs/lightning-wallets.md"}
_UNSEEN = "Start the hub, which books what came in meanwhile; then /reconcile says more."


@dataclass(frozen=True, slots=True)
class Money:
    """What was asked of others beforehand.

    `node`: what was seen of it; `failed`: why nothing was. `port`: why the gate could not listen, if no hub runs; else `outside`:
    why strangers do not reach it, and `gate`: where it is open, by the settings or by `timmy-serve start` (empty: nowhere).
    """

    node: NodeLook = field(default_factory=NodeLook)
    failed: HubError | None = None
    port: HubError | None = None
    outside: str = ""
    gate: str = ""


async def ask_money(settings: Settings, *, runs: bool, listens: str = "") -> Money:
    """Ask, of a hub that runs or not. `listens`: where its gate is open."""
    node, failed = NodeLook(), None
    try:
        node = await look_at_node(settings)
    except HubError as error:
        failed = error
    port, outside = None, ""
    if settings.serve.enabled and not runs:
        try:
            await gate_port(settings)
        except HubError as error:
            port = error
    if runs and (listens or settings.serve.enabled):
        outside = await look_at_gate(settings, listens)
    return Money(node, failed, port, outside, listens)


def lightning(settings: Settings, asked: Money, *, runs: bool) -> Iterator[Finding]:
    """Whose node it is. One that is away is waited for; with one that is not as the settings say, a start is refused."""
    yield sats(settings, asked)
    backend, failed = settings.lightning.backend, asked.failed
    if isinstance(failed, UserError) or (failed is not None and backend == SIMULATED):
        yield refused("lightning.node", failed)
    elif failed is not None:
        fix = f"See whether it runs, and its address and keys: {_DOCS[backend]}."
        yield check("lightning.node", "", str(failed), fix, Severity.WARNING)
    elif asked.node.who:
        yield check("lightning.node", asked.node.who)
        if backend != SIMULATED:
            fix = "Wait until it has caught up, or see to its chain backend: what it does not know yet is not taken for so."
            wrong = f"it is {asked.node.behind}" if asked.node.behind else ""
            yield check("lightning.synced", "it is in step with the chain", wrong, fix, Severity.WARNING)
            fix = f"Make that key anew: {_DOCS[backend]} has the command."
            yield check("lightning.rights", "its keys may do what they are for", asked.node.lacks, fix)
        yield from _compared(asked.node.difference, runs=runs)


def _compared(difference: int | None, *, runs: bool) -> Iterator[Finding]:
    if difference is not None:
        wrong = f"the node has {abs(difference):,} msat {'more' if difference > 0 else 'less'} than the books say"
        fix = "/reconcile says more, and books it once you know why." if runs else _UNSEEN
        yield check("lightning.books", "it has what the books say", wrong if difference else "", fix, Severity.WARNING)


def sats(settings: Settings, asked: Money) -> Finding:
    """Which sats these are. A start says it too, where that may not be what was meant."""
    backend, serve = settings.lightning.backend, settings.serve
    sold = (serve.enabled or asked.gate) and serve.public_url
    if backend == SIMULATED:
        wrong = "strangers are asked for simulated sats, which no wallet but timmy simulate has" if sold else ""
        fix = "Set TIMMY_LIGHTNING_BACKEND (docs/lightning.md), or leave TIMMY_SERVE_ENABLED out."
        if unused := settings.unused_backend:
            wrong = f"TIMMY_{unused.upper()}_... is set, and the sats are simulated all the same"
            fix = f"Set TIMMY_LIGHTNING_BACKEND={unused} too, and TIMMY_DATA_DIR to a new folder: simulated books stay simulated."
        return check("lightning.sats", "simulated: play money of this hub", wrong, fix, Severity.WARNING)
    network = asked.node.who.partition(" ")[0]
    kind = "real" if network in {"", "bitcoin"} else f"worth nothing: {network} is a test network"
    return check("lightning.sats", f"of the node that {backend} speaks with, {kind}")


def held(settings: Settings) -> Iterator[Finding]:
    """Whether the node does what was decided about what it holds for tasks."""
    try:
        found = look_at_books(settings, refusals)
    except HubError:
        return  # said of the books
    says = "; ".join(f"the node will not {_of(one.one)} ({one.why})" for one in found)
    fix = "See to the node and what its keys may do. /reconcile lists them; docs/hold-escrow.md says what becomes of the sats."
    yield check("escrow.obeyed", "the node did what it was told", says, fix)


def _of(one: HoldInvoice) -> str:
    """What it refuses."""
    if one.task is None:
        return f"call off order {one.id}"
    what = "take" if one.state is State.TAKING else "give back"
    return f"{what} what is held for {task_name(one.task)} until block {one.held_until:,}"


def gate(settings: Settings, asked: Money, *, runs: bool) -> Iterator[Finding]:
    """Whether strangers can buy."""
    serve, http = settings.serve, settings.http
    if not (serve.enabled or asked.gate):
        return
    if not runs:
        same = f"it is the hub's own port too: {serve.port}" if serve.port == http.port and serve.port else ""
        fix = "Set TIMMY_SERVE_PORT to another port."
        yield refused("gate.port", asked.port) if asked.port else check("gate.port", f"{serve.port} is free", same, fix)
    else:
        says = f"it answers at {serve.public_url or asked.gate}" + (
            "" if serve.public_url else ", to this machine alone"
        )
        says += "" if serve.enabled else ", until the hub stops: timmy-serve start opened it"
        fix = "See to TIMMY_SERVE_PUBLIC_URL and the proxy before it: docs/selling.md."
        yield check("gate.reachable", says, asked.outside, fix, Severity.WARNING)
    fix = "Set TIMMY_SERVE_PRICE higher."
    says = f"TIMMY_SERVE_PRICE is {format_sats(to_msat(serve.price))} a call"
    yield check("gate.price", says, look_at_price(settings), fix, Severity.WARNING)
    behind = serve.public_url is not None and is_loopback(serve.host) and http.trusted_proxy is None
    wrong = "all strangers come from the proxy before the gate, so they count as one and are slowed down together"
    fix = "Set TIMMY_HTTP_TRUSTED_PROXY to the proxy's address."
    yield check("gate.proxy", "strangers are told apart", wrong if behind else "", fix, Severity.WARNING)
