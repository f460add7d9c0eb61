"""What `timmy doctor` says of money: which sats these are, whose node answers, by which rights, whether the gate can sell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.app import SIMULATED, gate_port, look_at_books, look_at_gate, look_at_node
from bot.findings import Severity, check, refused
from config.settings import is_loopback
from core.errors import HubError, UserError
from core.ids import task_name
from core.wallet.held import refusals
from core.wallet.hold import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.findings import Finding
    from config.settings import Settings
    from core.wallet.hold import HoldInvoice

_DOCS = {"lnd": "docs/lightning.md", "nwc": "docs/lightning-wallets.md", "phoenixd": "docs/lightning-wallets.md"}


@dataclass(frozen=True, slots=True)
class Money:
    """What was asked of others beforehand.

    `node`: whose it is, `behind`: how it is behind the chain, and `lacks`: what its keys may not do; `failed`: why that is
    not known. `port`: why the gate could not listen, if no hub runs; else `outside`: why strangers do not reach it.
    """

    node: str = ""
    lacks: str = ""
    failed: HubError | None = None
    port: HubError | None = None
    outside: str = ""
    behind: str = ""


async def ask_money(settings: Settings, *, runs: bool) -> Money:
    """Ask, of a hub that runs or not."""
    node = behind = lacks = ""
    failed = None
    try:
        if settings.lightning.backend != SIMULATED:
            node, behind, lacks = await look_at_node(settings)
    except HubError as error:
        failed = error
    port, outside = None, ""
    if settings.serve.enabled and not runs:
        try:
            await gate_port(settings)
        except HubError as error:
            port = error
    if settings.serve.enabled and runs:
        outside = await look_at_gate(settings)
    return Money(node, lacks, failed, port, outside, behind)


def lightning(settings: Settings, asked: Money) -> Iterator[Finding]:
    """Whose node it is. One that is away is waited for; with one that is not as the settings say, a start is refused."""
    backend, sold = settings.lightning.backend, settings.serve.enabled and settings.serve.public_url
    if backend == SIMULATED:
        wrong = "strangers are asked for simulated sats, which no wallet but timmy simulate has" if sold else ""
        fix = "Set TIMMY_LIGHTNING_BACKEND (docs/lightning.md), or leave TIMMY_SERVE_ENABLED out."
        if unused := _unused(settings):
            wrong = f"TIMMY_{unused.upper()}_... is set, and the sats are simulated all the same"
            fix = f"Set TIMMY_LIGHTNING_BACKEND={unused} too, and TIMMY_DATA_DIR to a new folder: simulated books stay simulated."
        yield check("lightning.sats", "simulated: play money of this hub", wrong, fix, Severity.WARNING)
        return
    network = asked.node.partition(" ")[0]
    kind = "real" if network in {"", "bitcoin"} else f"worth nothing: {network} is a test network"
    yield check("lightning.sats", f"of the node that {backend} speaks with, {kind}")
    if isinstance(asked.failed, UserError):
        yield refused("lightning.node", asked.failed)
    elif asked.failed is not None:
        fix = f"See whether it runs, and its address and keys: {_DOCS[backend]}."
        yield check("lightning.node", "", str(asked.failed), fix, Severity.WARNING)
    else:
        yield check("lightning.node", asked.node)
        fix = "Wait until it has caught up, or see to its chain backend: what it does not know yet is not taken for so."
        wrong = f"it is {asked.behind}" if asked.behind else ""
        yield check("lightning.synced", "it is in step with the chain", wrong, fix, Severity.WARNING)
        fix = f"Make that key anew: {_DOCS[backend]} has the command."
        yield check("lightning.rights", "its keys may do what they are for", asked.lacks, fix)


def _unused(settings: Settings) -> str:
    """A backend that is set up and not chosen; empty if there is none."""
    set_up = {"lnd": settings.lnd.url, "nwc": settings.nwc.uri, "phoenixd": settings.phoenixd.password}
    return next((backend for backend, given in set_up.items() if given), "")


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
    if not serve.enabled:
        return
    if not runs:
        same = f"it is the hub's own port too: {serve.port}" if serve.port == http.port and serve.port else ""
        fix = "Set TIMMY_SERVE_PORT to another port."
        yield refused("gate.port", asked.port) if asked.port else check("gate.port", f"{serve.port} is free", same, fix)
    else:
        says = f"it answers at {serve.public_url}" if serve.public_url else "it answers to this machine alone"
        fix = "See to TIMMY_SERVE_PUBLIC_URL and the proxy before it: docs/selling.md."
        yield check("gate.reachable", says, asked.outside, fix, Severity.WARNING)
    behind = serve.public_url is not None and is_loopback(serve.host) and http.trusted_proxy is None
    wrong = "all strangers come from the proxy before the gate, so they count as one and are slowed down together"
    fix = "Set TIMMY_HTTP_TRUSTED_PROXY to the proxy's address."
    yield check("gate.proxy", "strangers are told apart", wrong if behind else "", fix, Severity.WARNING)
