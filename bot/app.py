"""The composition root: reads the settings, makes every part, joins them, and takes them down in order.

`build` is called by the program and, with fakes for clock, model or skills, by the tests: there is no other way to
make a hub. This is the only module that imports adapters and configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, assert_never, cast
from zoneinfo import ZoneInfo

import bot.commands  # noqa: F401 - declares the commands
import config
from adapters import folder, markup
from adapters.clockwork import Nursery, SystemClock, SystemIds, running
from adapters.console.client import Place
from adapters.console.client import talk as console_talk
from adapters.console.link import QueueLink
from adapters.console.surface import ConsoleSurface
from adapters.fetch import Internet
from adapters.inbox import Inbox
from adapters.lightning import bolt11
from adapters.lightning.simulated import SimulatedNode
from adapters.llm.ollama import OllamaModel
from adapters.qr import png
from adapters.shelf import Shelf
from adapters.skills.runner import SkillRunner
from adapters.speech import engines
from adapters.sqlite.offline import NoBook, look
from adapters.sqlite.retention import Retention
from adapters.sqlite.writer import Database
from adapters.web.ports import Sources
from bot import owner, proxies
from bot.approvals import Approvals
from bot.boards import Boards
from bot.daily import Daily
from bot.delivery import Delivery
from bot.dispatch import Dispatcher
from bot.health import NODE_PART, Figures, Health
from bot.hearing import Hearing
from bot.hub import Hub
from bot.intake import Intake
from bot.links import CARRIES, Links, left_behind
from bot.money import People, World, money
from bot.registry import registry
from bot.serving import Serving
from bot.shop import Shop
from bot.speaking import Speaking
from bot.subscriptions import Pump, table
from bot.supervisor import Supervisor
from bot.taps import Taps
from bot.watch import Watch
from bot.why import Decisions
from config import personas
from config.log import hide
from config.settings import is_loopback, split
from core.agent.agent import Assistant
from core.agent.model import Bounds, ModelMissing, named
from core.agent.persona_worker import PersonaWorker
from core.chat import File, Role
from core.errors import HubError, Unavailable, UserError, cause
from core.money import to_msat
from core.pairing import Pairing
from core.swarm.coordinator import Coordinator
from core.swarm.escrow import HoldEscrow
from core.swarm.orders import Rules
from core.swarm.roster import Roster
from core.tokens import CONSOLE_OWNER, Identities
from core.treasury.treasury import Treasury, today
from core.voice.expected import MOST_NAMES, Names
from core.voice.intent import Known, understand
from core.wallet.invoices import Till
from core.wallet.ledger import TREASURY
from core.wallet.lightning import NodeDown
from core.wallet.limits import APPROVE
from core.wallet.node import same_node
from core.wallet.selling import Seller
from core.wallet.spending import Spending
from core.wallet.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from pydantic import SecretStr

    from adapters.lightning.lnd_macaroons import Macaroons
    from adapters.matrix.surface import MatrixSurface
    from adapters.shortcuts.answers import Said
    from adapters.shortcuts.surface import ShortcutsSurface
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.telegram.surface import TelegramSurface
    from adapters.web.routes import Route
    from adapters.web.server import Sidecar
    from adapters.web.shortcuts import Request
    from bot.serving import Gate
    from config.settings import Settings
    from core.agent.model import Model
    from core.agent.skill import Skills
    from core.chat import ChatAdapter, Outgoing
    from core.ports import Clock, Fetcher, IdSource
    from core.store import Store
    from core.swarm.persona import Persona
    from core.swarm.ports import ResultFile, Worker
    from core.tokens import TokenTx
    from core.voice.hearing import Ear, Mouth
    from core.wallet.lightning import Lightning
    from core.wallet.node import OwnNode
    from core.wallet.sales import Cashier, SaleTx

log = logging.getLogger(__name__)

DATABASE = "hub.db"
NODE = "node.db"
"""What a simulated node keeps; apart from the books, as with any node."""

SIMULATED = "simulated"
NOT_FOR_STRANGERS = frozenset({"machine"})
"""Skills that are about the owner's machine: nobody buys what runs on it."""

SAMPLES = Path(config.__file__).parent / "workspace"
HOOK_PATH = "/telegram/webhook"
DRAIN_SECONDS = 2.5
VERIFY_SECONDS = 600.0
"""How long a verification may take, by Matrix's specification."""

LAST_WORDS_SECONDS = 1.0
"""At a stop: for the turns under way, then for their answers. The whole stop takes less than 5 s (CONTRACT)."""

FIRST_LOOK_SECONDS = 1.2
LOOK_SECONDS = 5
"""How long `timmy doctor` waits for a node."""


R = TypeVar("R")


class OtherBook(UserError):
    """The book in {folder} belongs to {theirs}, and the settings name {ours}. Set TIMMY_DATA_DIR to another folder, or {remedy}."""


@dataclass(frozen=True, slots=True)
class App:
    """A running hub and the parts that its callers and tests look at."""

    settings: Settings
    hub: Hub
    store: Database
    dispatcher: Dispatcher
    delivery: Delivery
    console: ConsoleSurface
    supervisor: Supervisor
    health: Health
    address: str
    serving: Serving


@contextlib.asynccontextmanager
async def build(  # noqa: PLR0913, PLR0915 - everything that can be replaced, and the one list of all parts
    settings: Settings,
    *,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    model: Model | None = None,
    skills: Skills | None = None,
    worker: Worker | None = None,
    roster: Sequence[Persona] | None = None,
    node: Lightning | None = None,
    fetcher: Fetcher | None = None,
    database: type[Database] = Database,
    ear: Ear | None = None,
    mouth: Mouth | None = None,
    cashier: Cashier | None = None,
) -> AsyncIterator[App]:
    """A whole hub on the settings' data folder, running until the block ends."""
    clock = clock or SystemClock()
    ids = ids or SystemIds()
    async with contextlib.AsyncExitStack() as stack:
        data = await _own(settings, stack)
        store = await stack.enter_async_context(database.open(data / DATABASE, clock))
        _same_kind(settings, await store.read(lambda tx: tx.books.identity()))
        folder.seed_workspace(settings.workspace, SAMPLES)
        ollama = OllamaModel(settings.ollama.url, settings.ollama.model, clock=clock)
        brain: Model = ollama if model is None else model
        # It is closed after all that works with it: a task that found it closed would have failed, and not just been stopped.
        await stack.enter_async_context(ollama)
        # So is the node: what was approved would be used up by an answer that it is closed.
        node = node or await _node(settings, stack, store, clock, ids)
        # Its child outlives the turns that listen: one that lost it would answer that it could not.
        ear, mouth = _speech(settings, stack, ear, mouth)
        nursery = await stack.enter_async_context(Nursery())
        shelf = Shelf(data)
        await shelf.sweep()
        if model is None:
            with contextlib.suppress(
                TimeoutError
            ):  # interrupted tasks may need it: they should not fail for a late look
                async with asyncio.timeout(FIRST_LOOK_SECONDS):
                    await ollama.check()
            nursery.spawn(ollama.watch(), "model watch")
        pictures = data / "cache" / "matplotlib"
        # What strangers buy reaches no file of the hub's people: it has a folder of its own, in which there is nothing.
        apart = skills or SkillRunner(
            folder.strangers(data), (), cache=pictures, scratch=shelf.scratch, without=NOT_FOR_STRANGERS
        )
        skills = skills or SkillRunner(settings.workspace, (data,), cache=pictures, scratch=shelf.scratch)
        agents = Roster(store, roster if roster is not None else personas.load())
        bounds = Bounds(window=settings.ollama.num_ctx)
        hands = worker or PersonaWorker(skills, brain, shelf, bounds=bounds)
        sold = worker or PersonaWorker(apart, brain, shelf, bounds=bounds)
        identities = Identities(store, ids, owners=settings.owners, reserved=agents.claims)
        wallet = Wallet(store, identities, simulated=settings.lightning.backend == SIMULATED)
        spending = Spending(store, identities)
        treasury = Treasury(store, identities, _zone(settings))
        coordinator = Coordinator(
            store, agents, hands, clock=clock, ids=ids, spawner=nursery, as_now=identities.as_now, rules=_rules(settings),
            sold=sold,
        )  # fmt: skip
        assistant = Assistant(store, brain, bounds=bounds)
        figures = partial(_figures, store, _zone(settings))
        health = Health(clock, store, figures, brain.check, clock.now(), simulated=wallet.simulated)
        boards = Boards(store, clock, nursery, identities.role_in)
        speaking = Speaking(store, mouth, nursery, lambda reply: markup.speech(markup.of(reply)))
        delivery = Delivery(store, clock, nursery, _both(boards.told, speaking.told))
        pairing = Pairing(store, ids, identities, delivery.send, has=left_behind)
        files = Intake(delivery.fetch, Inbox(settings.workspace).keep, identities.still)

        files_of = _Files(shelf)
        approvals = Approvals(store, clock, identities, send=delivery.send, close=boards.close)

        world = World(node, lambda text: asyncio.to_thread(bolt11.decode, text), fetcher or Internet())
        people = People(approvals, identities, pairing, agents, wallet, treasury)
        till = money(store, world, people, files_of.keep, clock, nursery)
        health.behind = lambda: till.own.behind
        escrow = HoldEscrow(store, till.own, coordinator, identities, clock=clock, ids=ids)
        links = Links(store, ids, identities, pairing, approvals, send=delivery.send)
        approvals.carries(CARRIES, links.carry)
        hearing = Hearing(ear, delivery.fetch, partial(_names, store, agents, settings.workspace), registry)
        hub = Hub(
            clock,
            approvals,
            Decisions(),
            coordinator,
            agents,
            wallet,
            spending,
            identities,
            pairing,
            links,
            files,
            assistant,
            registry,
            health,
            files_of.place,
            _zone(settings),
            hearing,
            speaking,
            delivery.draft,
            till.paying,
            till.reconciler,
            treasury,
            files_of.qr,
            escrow,
            till.suspense,
        )
        dispatcher = Dispatcher(
            hub, store, delivery, nursery, lambda text: understand(text, _known(hub)), Taps(store, boards.close)
        )
        pump = Pump(
            store, clock, table(files_of.place, identities.selves_in, simulated=wallet.simulated), delivery.send
        )

        async def back(surface: str) -> None:
            await delivery.again(surface)
            await boards.again(surface)

        telegram = None
        if settings.telegram.token:
            telegram = await _telegram(settings, store, clock, ids, nursery, partial(back, "telegram"))
        shortcuts = _shortcuts(
            settings, store, clock, ids, identities, (delivery.send, partial(delivery.again, "shortcuts"))
        )
        approvals.carries(proxies.KIND, partial(proxies.carry, hub))
        sources = Sources(clock, ids, store, store, health, agents, check=identities.check, able=hands.ready)
        web = _sidecar(
            settings,
            sources,
            telegram,
            shortcuts,
            partial(proxies.task_line, lambda text: understand(text, _known(hub))),
        )

        async def ended(number: int) -> str | None:
            task = await coordinator.show(number)
            return task.status.value if task.over else None

        supervisor = Supervisor(nursery, clock, health)
        serving = _serving(settings, sources, nursery, hub, cashier or Till(till.invoices), supervisor)
        outside = node if isinstance(node, SimulatedNode) else None
        calls = {**owner.calls(hub, web.login_link, settings.fingerprint(), outside), **serving.calls()}
        console = ConsoleSurface(data, ids, calls, partial(delivery.again, "console"), ended)
        surfaces: list[ChatAdapter] = [console]

        if telegram is not None:
            boards.attach(telegram.name, telegram)
            speaking.attach(telegram.name, telegram)
            surfaces.append(telegram)
        watch = Watch(health, store, clock, lambda: identities.everybody(CONSOLE_OWNER), delivery.send)
        if settings.matrix.on:
            told = (
                partial(back, "matrix"),
                partial(watch.warn, "matrix"),
                partial(_ask_verified, approvals, identities),
                (lambda user: identities.known(f"matrix:{user}")),
            )
            matrix = await _matrix(settings, store, clock, ids, nursery, told)
            approvals.carries("matrix-verify", lambda approval: matrix.confirm(approval.action))
            boards.attach(matrix.name, matrix)
            delivery.branch(matrix.name, matrix)
            speaking.attach(matrix.name, matrix)
            surfaces.append(matrix)
        hearing.attach(shortcuts)
        surfaces += shortcuts
        for surface in surfaces:
            delivery.attach(surface)
        health.surfaces.extend(surfaces)
        store.listen(pump.heard)
        store.listen(boards.heard)
        store.listen(console.heard)
        store.listen(web.heard)
        store.listen(proxies.ending(assistant.hush))
        store.listen(coordinator.heard)
        store.listen(escrow.heard)

        await stack.enter_async_context(web.listening())
        await agents.load()
        await _meet(till.own)
        await spending.preset(_presets(settings))
        await wallet.grant(CONSOLE_OWNER, to_msat(settings.wallet.grant))
        await pump.enroll()
        await links.tidy()
        await identities.refresh()
        await watch.tidy()
        await delivery.begin()
        supervisor.start("web", web.run)
        supervisor.start("events", partial(_after, dispatcher.caught_up, pump.run))
        supervisor.start("retention", Retention(store, clock, till.invoices.caught_up).run)
        # Work and clock wait for the first look: nobody is paid with what the node has let go of meanwhile. The look itself is not
        # broken off, or a task that it posts would be left lying.
        supervisor.start("escrow", escrow.run, abroad=True)
        await _first_look("what is held for tasks", escrow.looked.wait())
        # What the last stop left comes first: leases begin anew before the clock looks at them, old messages have
        # their turn before new ones come in.
        await coordinator.recover()
        await dispatcher.recover()
        await approvals.recover(nursery)
        supervisor.start("clock", coordinator.run)
        nursery.spawn(till.own.watch(), "node watch")
        supervisor.start(NODE_PART, till.invoices.run, abroad=True)
        supervisor.start("payments", till.payments.run, abroad=True)
        supervisor.start("watch", watch.run)
        daily = Daily(
            store, clock, hub.zone, till.reconciler, lambda: identities.everybody(CONSOLE_OWNER), delivery.send,
            simulated=wallet.simulated,
        )  # fmt: skip
        supervisor.start("report", daily.run)
        supervisor.start("approvals", approvals.run)
        for surface in surfaces:
            supervisor.start(surface.name, partial(surface.run, dispatcher.receive))
        await console.listening()
        await serving.begin()
        health.ready = True
        try:
            yield App(settings, hub, store, dispatcher, delivery, console, supervisor, health, web.address, serving)
        finally:
            health.ready = False
            await dispatcher.drain(DRAIN_SECONDS)
            await delivery.stop(LAST_WORDS_SECONDS)
            supervisor.stop()


async def _node(
    settings: Settings, stack: contextlib.AsyncExitStack, store: Database, clock: Clock, ids: IdSource
) -> Lightning:
    """The Lightning node that the settings name. Nothing is asked of it yet.

    Raises `BadMacaroon`, `BadCertificate` and `BadConnection` where it could not be asked anything.
    """
    opened, last = await store.read(lambda tx: (tx.books.opened_at(), tx.books.newest_at()))
    node = _named_node(settings, clock, ids, opened or clock.now(), (store, last or clock.now()))
    stack.push_async_callback(node.close)
    return node


def _named_node(
    settings: Settings, clock: Clock, ids: IdSource, opened: int, books: tuple[Database, int] | None = None
) -> Lightning:
    """`books`: where open invoices are, and when the newest entry was booked."""
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

    return Lnd(settings.lnd.url or "", settings.lnd.tls_cert_path, _macaroons(settings))


def _macaroons(settings: Settings) -> Macaroons:
    from adapters.lightning.lnd_macaroons import Macaroons  # noqa: PLC0415 - where it is on

    found = settings.lnd
    return Macaroons(*(_hidden(one) for one in (found.macaroon_read, found.macaroon_receive, found.macaroon_pay)))


def _speech(
    settings: Settings, stack: contextlib.AsyncExitStack, ear: Ear | None, mouth: Mouth | None
) -> tuple[Ear, Mouth]:
    """What hears and what speaks. The child process of each starts when it is first used, and ends with the hub."""
    hears, listener = engines.ear(settings.speech.stt, settings.speech.model_dir)
    speaks, encoder = engines.mouth(settings.speech.tts, settings.speech.model_dir)
    stack.push_async_callback(listener.close)
    stack.push_async_callback(encoder.close)
    return ear or hears, mouth or speaks


def look_at_books(settings: Settings, work: Callable[[UnitOfWork], R]) -> R:
    """Read a data folder's books, whether its hub runs or not. Raises what `look` does."""
    return look(settings.data_dir / DATABASE, work)


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
    _same_kind(settings, found)
    return found[0] if found else None


async def look_at_port(settings: Settings) -> None:
    """Raises `PortInUse` or `CannotListen` as a start would."""
    from adapters.web.server import Site, probe  # noqa: PLC0415 - as in `_sidecar`

    await probe(Site(settings.http.host, settings.http.port))


async def gate_port(settings: Settings) -> None:
    """Raises `PortInUse` or `CannotListen` as opening the gate would."""
    from adapters.web.listening import Site, probe  # noqa: PLC0415 - as in `_sidecar`

    await probe(Site(settings.serve.host, settings.serve.port, group="SERVE"))


async def look_at_gate(settings: Settings) -> str:
    """Why strangers do not reach the gate of a running hub; empty if they do."""
    from adapters.web.reach import unreached  # noqa: PLC0415 - as in `_sidecar`

    serve, host = settings.serve, settings.serve.host.strip("[]")
    here = f"http://[{host}]:{serve.port}" if ":" in host else f"http://{host}:{serve.port}"
    return await unreached(serve.public_url or here, "/health")


async def look_at_node(settings: Settings) -> tuple[str, str, str]:
    """Whose node the settings name, where it is no simulated one; how it is behind the chain, and what its keys lack; empty if not.

    Raises `NodeDown`, and what a start would: `BadMacaroon`, `BadCertificate`, `BadConnection`, `OtherNode`.
    """
    clock = SystemClock()
    node = _named_node(settings, clock, SystemIds(), clock.now())
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            found = await node.info()
    except TimeoutError:
        raise NodeDown(backend=node.backend, why=f"no answer within {LOOK_SECONDS} s") from None
    finally:
        await node.close()
    with contextlib.suppress(NoBook):
        same_node(look_at_books(settings, lambda tx: tx.books.identity()), found)
    lacks = _macaroons(settings).lacking() if node.backend == "lnd" else ""
    return f"{found.network} ({found.node})", found.behind, lacks


async def look_from_outside(settings: Settings) -> str:
    """Why a running hub is not reached by its public address; empty if it is."""
    from adapters.web.reach import unreached  # noqa: PLC0415 - as in `_sidecar`

    return await unreached(settings.http.public_url) if settings.http.public_url else "it has no public address"


def speech_lacks(settings: Settings) -> tuple[str, str]:
    """Why the engines that were chosen cannot hear, and cannot speak; empty where they can."""
    speech = settings.speech
    return engines.ear_missing(speech.stt, speech.model_dir), engines.mouth_missing(speech.tts, speech.model_dir)


async def look_at_model(settings: Settings) -> tuple[str | None, int | None]:
    """Why the hub's own model cannot be asked (None: it can), and the longest context that it was made for, in tokens."""
    async with OllamaModel(settings.ollama.url, settings.ollama.model, clock=SystemClock()) as model:
        if why := await model.check():
            return why, None
        try:
            own, installed = await model.default(), await model.models()  # which wait longer for their answer
        except HubError as error:
            return str(error), None
        return (None, await model.window()) if named(own, installed) else (str(ModelMissing(model=own)), None)


async def talk(app: App) -> None:
    """The console of `timmy run --console`: a prompt on a terminal, plain lines on a pipe."""
    near, far = QueueLink.pair()
    async with running(app.console.serve(far), "console"):
        try:
            place = Place(app.settings.data_dir, app.settings.workspace, hosts=True)
            await console_talk(near, app.hub.registry.described(), place)
        finally:
            near.close()


def _both(first: Callable[[Outgoing], None], second: Callable[[Outgoing], None]) -> Callable[[Outgoing], None]:
    def told(message: Outgoing) -> None:
        first(message)
        second(message)

    return told


def _zone(settings: Settings) -> ZoneInfo | None:
    return ZoneInfo(settings.timezone) if settings.timezone else None


def _rules(settings: Settings) -> Rules:
    auction = settings.auction
    return Rules(
        window=auction.window * 1000, budget=to_msat(auction.budget), deadline=auction.deadline * 1000,
        review=auction.review * 1000, attempts=auction.attempts, lease=auction.lease * 1000,
    )  # fmt: skip


def _presets(settings: Settings) -> dict[str, int | None]:
    """The limits that hold where no owner says otherwise, msat."""
    day = settings.wallet.day_limit
    return {APPROVE: to_msat(settings.wallet.approve_over), "day": None if day is None else to_msat(day)}


def _sidecar(
    settings: Settings, sources: Sources, telegram: TelegramSurface | None, shortcuts: Sequence[ShortcutsSurface],
    task_line: Callable[[str], str],
) -> Sidecar:  # fmt: skip
    """The HTTP sidecar. Its library is 14 MB and 0.2 s, which `timmy ledger` and the like need not pay."""
    from adapters.web import telegram_hook  # noqa: PLC0415
    from adapters.web.server import Sidecar, Site  # noqa: PLC0415
    from adapters.web.shortcuts_setup import SetupPage  # noqa: PLC0415

    http = settings.http
    hook = telegram.hook if telegram is not None else None
    more = [telegram_hook.route(hook.secret, telegram.take)] if telegram is not None and hook is not None else []
    for surface in shortcuts:
        elsewhere = None if is_loopback(http.public_host) else http.public_url
        more += [*SetupPage(elsewhere).routes(), *_shortcut_routes(surface, task_line)]
    return Sidecar(
        Site(http.host, http.port, http.public_url, split(http.allowed_hosts), http.trusted_proxy), sources, more
    )


def _serving(
    settings: Settings, sources: Sources, nursery: Nursery, hub: Hub, cashier: Cashier, supervisor: Supervisor
) -> Serving:
    """What sells to strangers. The gate is made when it is opened, or asked something."""

    @cache
    def seller() -> Seller:
        secret = folder.secret(settings.data_dir, "l402.secret", sources.ids)
        hide(secret)
        store = cast("Store[SaleTx]", sources.store)  # one unit of work has all stores
        return Seller(store, cashier, secret.encode(), clock=sources.clock, ids=sources.ids, spawner=nursery)

    def make(port: int | None, price: int | None) -> Gate:
        from adapters.web.l402_gate import Gate  # noqa: PLC0415 - as in `_sidecar`
        from adapters.web.l402_shapes import Shopfront  # noqa: PLC0415
        from adapters.web.listening import Site  # noqa: PLC0415

        http, serve = settings.http, settings.serve
        site = Site(
            serve.host, serve.port if port is None else port, serve.public_url, split(http.allowed_hosts),
            http.trusted_proxy, "SERVE",
        )  # fmt: skip
        shop = Shop(seller(), hub.assistant, hub.coordinator, hub.treasury, hub.health.model)
        front = Shopfront(
            seller(), shop, to_msat(price or serve.price), hub.wallet.simulated, lambda file: Path(hub.file_path(file))
        )
        return Gate(site, sources, front)

    return Serving(make, supervisor, enabled=settings.serve.enabled)


def _shortcuts(
    settings: Settings, store: Database, clock: Clock, ids: IdSource, identities: Identities,
    delivery: tuple[Callable[[Outgoing], None], Callable[[], Awaitable[None]]],
) -> Sequence[ShortcutsSurface]:  # fmt: skip
    """The Shortcuts surface, if it is on: `delivery` sends what was written elsewhere, and what waits for it again."""
    if not settings.shortcuts.enabled:
        return ()
    from adapters.shortcuts.recordings import Recordings  # noqa: PLC0415 - as the other surfaces: where it is on
    from adapters.shortcuts.surface import ShortcutsSurface  # noqa: PLC0415

    def lives(tx: TokenTx, token: str, person: str) -> bool:
        return tx.tokens.by_hash(token) is not None and identities.role_in(tx, person) is not Role.GUEST

    send, back = delivery
    recordings = Recordings(settings.data_dir / "recordings")
    return (ShortcutsSurface(store, clock, ids, recordings, lives=lives, send=send, back=back),)


def _shortcut_routes(surface: ShortcutsSurface, task_line: Callable[[str], str]) -> Sequence[Route]:
    """The surface behind its routes, each of which knows nothing of the other."""
    from adapters.shortcuts.surface import Ask  # noqa: PLC0415
    from adapters.web.shortcuts import Desk, Shortcuts  # noqa: PLC0415

    async def ask(request: Request) -> Said:
        recorded = request.recording
        content, media = (recorded.content, recorded.media) if recorded else (None, "")
        asked = Ask(
            request.device, request.route, request.text, request.alive, request.key, content, media, request.said
        )  # fmt: skip
        return await surface.ask(asked)

    return Shortcuts(Desk(surface.held, ask, surface.result, task_line)).routes()


async def _telegram(
    settings: Settings,
    store: Database,
    clock: Clock,
    ids: IdSource,
    nursery: Nursery,
    back: Callable[[], Awaitable[None]],
) -> TelegramSurface:
    """The Telegram surface; its library is imported only where it is on."""
    from adapters.telegram.menu import Menus  # noqa: PLC0415
    from adapters.telegram.surface import Access, Hook, TelegramSurface  # noqa: PLC0415

    token = settings.telegram.token.get_secret_value() if settings.telegram.token else ""
    hide(token)
    hook = None
    if settings.telegram.mode == "webhook":
        given = settings.telegram.webhook_secret
        secret = given.get_secret_value() if given else folder.secret(settings.data_dir, "telegram-webhook.secret", ids)
        hide(secret)
        hook = Hook(f"{(settings.http.public_url or '').rstrip('/')}{HOOK_PATH}", secret)
    access = Access(
        token, settings.telegram.base_url,
        frozenset(int(chat) for chat in split(settings.telegram.chats)), hook,
    )  # fmt: skip
    owners = [int(actor.partition(":")[2]) for actor in settings.owners if re.fullmatch(r"telegram:[0-9]+", actor)]
    menus = Menus(
        registry.menu(Role.MEMBER, private=True), registry.menu(Role.MEMBER, private=False),
        registry.menu(Role.OWNER, private=True), owners,
    )  # fmt: skip

    async def moved(old: str, new: str) -> None:
        await store.write(lambda tx: tx.messages.move("telegram", old, new, tx.now))

    moves = await store.read(lambda tx: tx.messages.moved("telegram"))
    return TelegramSurface(access, menus, clock=clock, spawner=nursery, back=back, moved=moved, moves=moves)


async def _matrix(
    settings: Settings, store: Database, clock: Clock, ids: IdSource, nursery: Nursery,
    told: tuple[
        Callable[[], Awaitable[None]], Callable[[str, str], Awaitable[None]], Callable[[str, str, str], Awaitable[None]],
        Callable[[str], bool],
    ],
) -> MatrixSurface:  # fmt: skip
    """The Matrix surface; its library is imported only where it is on."""
    from adapters.matrix.identity import IdentityFile  # noqa: PLC0415
    from adapters.matrix.memory import Memory  # noqa: PLC0415
    from adapters.matrix.surface import Access, MatrixSurface, Told  # noqa: PLC0415

    found = settings.matrix
    password, token = (one.get_secret_value() if one else "" for one in (found.password, found.access_token))
    for secret in filter(None, (password, token)):
        hide(secret)
    own = frozenset(actor.removeprefix("matrix:") for actor in settings.owners if actor.startswith("matrix:"))
    access = Access(
        found.homeserver or "", found.user or "", password, token, found.device, frozenset(split(found.rooms)),
        frozenset(split(found.inviters)) or own, found.encryption, found.trust,
    )  # fmt: skip
    identity = IdentityFile(settings.data_dir / "matrix", ids)
    memory = Memory(f"matrix/{access.user}", store, clock)
    await memory.load(ids.token(9))
    return MatrixSurface(access, identity, memory, clock=clock, spawner=nursery, told=Told(*told))


async def _ask_verified(approvals: Approvals, identities: Identities, shown: str, words: str, user: str) -> None:
    """Ask the owners, elsewhere than on Matrix, whether somebody sees what the bot shows."""
    elsewhere = sorted(one for one in identities.everybody(CONSOLE_OWNER) if not one.startswith("matrix:"))
    await approvals.ask(
        "matrix-verify", shown, words, asked_by=f"matrix:{user}", where=f"matrix:{user}", approvers=elsewhere,
        seconds=VERIFY_SECONDS, key=f"matrix-verify/{shown}", exact=True,
    )  # fmt: skip


def _known(hub: Hub) -> Known:
    """The names that a phrase may hold now: of agents, and of personas that can be spawned. Of people, any: anybody may be paid."""
    return Known(frozenset({*hub.roster.personas, *(agent.name for agent in hub.roster)}), None, None)


async def _names(store: Database, roster: Roster, workspace: Path) -> Names:
    """What can be named by voice now."""

    def read(tx: UnitOfWork) -> tuple[list[str], int]:
        return [person.name.split()[0] for person in tx.tokens.people() if person.name.strip()], tx.tasks.next_id()

    people, following = await store.read(read)
    return Names(
        tuple(agent.name for agent in roster), tuple(roster.personas), tuple(dict.fromkeys(people)),
        await asyncio.to_thread(folder.newest, workspace, MOST_NAMES),
        tuple(range(following - 1, max(0, following - 1 - MOST_NAMES), -1)),
    )  # fmt: skip


async def _after(ready: asyncio.Event, run: Callable[[], Awaitable[None]]) -> None:
    await ready.wait()
    await run()


async def _own(settings: Settings, stack: contextlib.AsyncExitStack) -> Path:
    """Take the data folder. A start that is refused for its settings makes none, nor a workspace."""
    from adapters.web.server import Site, probe  # noqa: PLC0415 - as in `_sidecar`

    site = Site(settings.http.host, settings.http.port)
    folder.keep_apart(settings.workspace, settings.data_dir)
    new = not settings.data_dir.exists()
    if new:
        await probe(site)
    data = stack.enter_context(folder.own(settings.data_dir))  # a hub that runs is named before its port is
    if not new:
        await probe(site)
    return data


def _same_kind(settings: Settings, found: tuple[str, str] | None) -> None:
    """Raise `OtherBook` where books of simulated sats meet a real node, or the other way round."""
    backend = settings.lightning.backend
    if found is None or (found[0] == SIMULATED) == (backend == SIMULATED):
        return
    remedy = f"TIMMY_LIGHTNING_BACKEND={SIMULATED}" if found[0] == SIMULATED else "name that node"
    raise OtherBook(folder=settings.data_dir, theirs=f"{found[0]} ({found[1]})", ours=backend, remedy=remedy)


class _Files:
    """What is handed over as a file, on the shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def place(self, file: ResultFile) -> str:
        """Where it is."""
        return str(self._shelf.path(file.sha256, file.name))

    async def keep(self, name: str, content: bytes) -> str:
        """Keep what is in memory; returns where it is."""
        return self.place(await self._shelf.put(name, content))

    async def qr(self, text: str) -> File:
        """A QR code. A BOLT11 is drawn in capitals, which take half the room (BOLT 11 allows either case)."""
        return File("invoice.png", await self.keep("invoice.png", await asyncio.to_thread(png, text.upper())))


async def _meet(own: OwnNode) -> None:
    """See whose node it is. One that does not answer is asked again later; one of other books is refused: raises `OtherNode`."""
    await _first_look("whose it is", own.verified())


async def _first_look(what: str, asked: Awaitable[object]) -> None:
    """Ask the node something before all else, if it answers soon."""
    try:
        async with asyncio.timeout(FIRST_LOOK_SECONDS):
            await asked
    except (Unavailable, TimeoutError) as error:
        log.warning("the Lightning node was not asked at the start %s: %s", what, cause(error))


async def _figures(store: Database, zone: ZoneInfo | None) -> Figures:
    def read(tx: UnitOfWork) -> Figures:
        moved = today(tx, zone)
        return Figures(
            live=tx.tasks.counts(), tasks=tx.tasks.next_id() - 1, held=tx.books.held(), escrow=tx.books.in_escrow(),
            treasury=tx.ledger.account(TREASURY).posted, earned=moved.earnings, spent=moved.spendings,
            frozen=tx.limits.rules().freeze is not None, backlog=tx.messages.backlog(),
            dead_letters=tx.dead_letters() + tx.messages.given_up(),
        )  # fmt: skip

    return await store.read(read)
