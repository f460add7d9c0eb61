"""The composition root: reads the settings, makes every part, joins them, and takes them down in order.

`build` is called by the program and, with fakes for clock, model or skills, by the tests: there is no other way to
make a hub. Nobody but this module and `bot.parts`, where the settings choose, imports adapters and configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import bot.commands  # noqa: F401 - declares the commands
import config
from adapters import folder
from adapters.clockwork import Nursery, SystemClock, SystemIds, running
from adapters.console.client import Place
from adapters.console.client import talk as console_talk
from adapters.console.link import QueueLink
from adapters.console.surface import ConsoleSurface
from adapters.fetch import Internet
from adapters.inbox import Inbox, plain_name
from adapters.lightning import bolt11
from adapters.lightning.simulated import SimulatedNode
from adapters.qr import png
from adapters.shelf import Shelf
from adapters.speech import engines
from adapters.sqlite.retention import Retention
from adapters.sqlite.writer import Database
from adapters.web.ports import Sources
from bot import announce, mcp_clients, owner, proxies
from bot.approvals import TOOL, Approvals
from bot.boards import Boards
from bot.contained import Contained
from bot.daily import Daily
from bot.delivery import Delivery
from bot.dispatch import Dispatcher
from bot.health import NODE_PART, Figures, Health
from bot.hearing import Hearing
from bot.hub import Hub
from bot.intake import Intake
from bot.links import CARRIES, Links, left_behind
from bot.lookout import Lookout
from bot.money import People, World, money
from bot.parts import chats, far, nodes, timers
from bot.parts.agent import Hands, mind
from bot.parts.looks import DATABASE
from bot.parts.models import brains
from bot.parts.skills import runner
from bot.parts.tools import benches, boxes, check_names, tools
from bot.parts.web import selling, sidecar, worker_routes
from bot.reading import Reading
from bot.registry import registry
from bot.serving import NOT_FOR_STRANGERS
from bot.speaking import Speaking
from bot.subscriptions import Pump, table
from bot.supervisor import Supervisor
from bot.taps import Taps
from bot.watch import Watch
from bot.why import Decisions
from config import personas
from core.agent.cascade import find
from core.agent.model import Bounds
from core.automation.notify import Notices
from core.chat import File
from core.errors import Unavailable, cause
from core.money import to_msat
from core.pairing import Pairing
from core.spark.spark import Spark
from core.swarm.coordinator import Coordinator
from core.swarm.escrow import HoldEscrow
from core.swarm.orders import Rules
from core.swarm.roster import Roster
from core.swarm.stuck import Rounds
from core.tokens import CONSOLE_OWNER, Identities
from core.treasury.treasury import Treasury, today
from core.wallet.invoices import Till
from core.wallet.ledger import TREASURY
from core.wallet.limits import APPROVE
from core.wallet.spending import Spending
from core.wallet.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from adapters.sqlite.unit_of_work import UnitOfWork
    from bot.serving import Serving
    from config.settings import Settings
    from core.agent.model import Model
    from core.agent.skill import Skills
    from core.agent.tool import Toolbox
    from core.automation.notify import Held
    from core.chat import ChatAdapter, Outgoing, Reply
    from core.ports import Clock, Fetcher, IdSource
    from core.swarm.desk import Desk
    from core.swarm.keeper import Keeper
    from core.swarm.persona import Persona
    from core.swarm.ports import ResultFile, Worker
    from core.voice.expected import Names
    from core.voice.hearing import Ear, Mouth
    from core.voice.intent import Meaning
    from core.wallet.lightning import Lightning
    from core.wallet.node import OwnNode
    from core.wallet.sales import Cashier

log = logging.getLogger(__name__)


SAMPLES = Path(config.__file__).parent / "workspace"
REDIS_PAUSE = 5.0
"""Between two tries to reach Redis, at most: workers that come by way of it are waited for 15 s after a start, not longer."""

DRAIN_SECONDS = 2.5

LAST_WORDS_SECONDS = 1.0
"""At a stop: for the turns under way, then for their answers. The whole stop takes less than 5 s (CONTRACT)."""

FIRST_LOOK_SECONDS = 1.2


class App(NamedTuple):
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
    watch: Watch


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
    toolbox: Toolbox | None = None,
) -> AsyncIterator[App]:
    """A whole hub on the settings' data folder, running until the block ends."""
    clock = clock or SystemClock()
    ids = ids or SystemIds()
    async with contextlib.AsyncExitStack() as stack:
        data = await _own(settings, stack)
        store = await stack.enter_async_context(database.open(data / DATABASE, clock))
        # The log is the writer's as long as it runs: what is committed may be nowhere else.
        held = folder.Held(data / DATABASE, data / f"{DATABASE}-wal", *nodes.kept(settings))
        nodes.same_kind(settings, await store.read(lambda tx: tx.books.identity()))
        folder.seed_workspace(settings.workspace, SAMPLES)
        # They are closed after all that works with them: a task that found its model closed would have failed, and not just been
        # stopped.
        models = await stack.enter_async_context(brains(settings, clock, instead=model))
        brain = models.model
        # So is the node: what was approved would be used up by an answer that it is closed.
        node = node or await nodes.opened(settings, stack, store, clock, ids)
        # Its child outlives the turns that listen: one that lost it would answer that it could not.
        ear, mouth = _speech(settings, stack, ear, mouth)
        nursery = await stack.enter_async_context(Nursery())
        shelf = Shelf(data)
        await shelf.sweep()
        await models.begin(nursery, FIRST_LOOK_SECONDS)
        pictures = data / "cache" / "matplotlib"
        # What strangers buy reaches no file of the hub's people: it has a folder of its own, in which there is nothing.
        apart = skills or runner(
            folder.strangers(data), (), cache=pictures, scratch=shelf.scratch, without=NOT_FOR_STRANGERS
        )
        skills = skills or runner(settings.workspace, (data,), cache=pictures, scratch=shelf.scratch)
        declared = roster if roster is not None else personas.load(models=settings.model.of)
        check_names(declared)
        agents = Roster(store, declared)
        bounds = Bounds(window=settings.ollama.num_ctx)
        reads = Reading()
        toolbox = toolbox or tools(
            settings, skills=skills, shelf=shelf, fetcher=fetcher or Internet(), reads=reads, clock=clock, zone=_zone(settings),
            notebook=lambda: reads.hub.notebook(),  # noqa: PLW0108 - set below
            box=boxes(settings, clock, ids, nursery),
        )  # fmt: skip
        places = benches(toolbox)
        toolbox, begin_servers = _with_servers(settings, toolbox)
        reports = _reports(lambda: coordinator.desk)
        hands = worker or Hands(skills, brain, shelf, bounds=bounds, toolbox=toolbox, reports=reports, benches=places)
        sold = worker or Hands(apart, brain, shelf, bounds=bounds, reports=reports)
        identities = Identities(store, ids, owners=settings.owners, reserved=agents.claims)
        wallet = Wallet(store, identities, simulated=settings.lightning.backend == nodes.SIMULATED)
        spending = Spending(store, identities, agents)
        treasury = Treasury(store, identities, _zone(settings))
        spark = Spark(store, agents.field_of)
        coordinator = Coordinator(
            store, agents, hands, clock=clock, ids=ids, spawner=nursery, as_now=identities.as_now, rules=_rules(settings),
            sold=sold, foresee=spark.foresee, people=lambda place: notices.asked_to_bid(place),  # noqa: PLW0108 - made below
            find_model=partial(find, brain),
        )  # fmt: skip
        figures = partial(_figures, store, _zone(settings))
        health = Health(clock, store, figures, brain.check, clock.now(), simulated=wallet.simulated)
        health.models = brain.standings
        boards = Boards(store, clock, nursery, identities.role_in, coordinator.progress)
        speaking = Speaking(store, mouth, nursery, _aloud)
        delivery = Delivery(store, clock, nursery, _both(boards.told, speaking.told))
        pairing = Pairing(store, ids, identities, delivery.send, has=left_behind)
        files = Intake(delivery.fetch, Inbox(settings.workspace).keep, identities.still)

        files_of = _Files(shelf)
        notices = Notices(
            store, clock, identities, _zone(settings), partial(_together, zone=_zone(settings)), delivery.send,
            settings.notify.named,
        )  # fmt: skip
        approvals = Approvals(store, clock, identities, send=delivery.send, close=boards.close)

        world = World(node, lambda text: asyncio.to_thread(bolt11.decode, text), fetcher or Internet())
        people = People(approvals, identities, pairing, agents, wallet, treasury)
        till = money(store, world, people, files_of.keep, clock, nursery)
        health.behind = lambda: till.own.behind
        health.waits = coordinator.waits
        escrow = HoldEscrow(store, till.own, coordinator, identities, clock=clock, ids=ids)
        links = Links(store, ids, identities, pairing, approvals, notices, send=delivery.send)
        approvals.carries(CARRIES, links.carry)
        hearing = Hearing(ear, delivery.fetch, partial(_names, store, agents, settings.workspace), registry)
        supervisor = Supervisor(nursery, clock, health)
        agent = mind(store, clock, nursery, identities, approvals, models=models, bounds=bounds, toolbox=toolbox)
        health.coming = agent.coming

        async def keeper() -> Keeper:
            from bot.parts import boxes  # noqa: PLC0415 - for the first agent in a container

            return await boxes.keeper(settings, stack, store, web, coordinator, identities, clock, ids)

        contained = Contained(keeper, supervisor, coordinator, agents, settings.docker.image)
        schedules = timers.Timetable(settings, store, clock, identities, delivery.send)
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
            agent.assistant,
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
            contained,
            spark,
            agent.tooling,
            agent.notebook,
            agent.summaries,
            notices,
            schedules,
            brain,
            agent.pulls,
            timers.briefings(store, identities, notices.person, health.in_short, lambda: coordinator.waits().away),
        )
        reads.hub = hub
        dispatcher = Dispatcher(hub, store, delivery, nursery, partial(_understand, hub), Taps(store, boards.close))
        schedules.take = dispatcher.take
        approvals.carries(TOOL, lambda approval: agent.tooling().carry(dispatcher.receive, approval))
        told = table(files_of.place, identities.selves_in, notices, simulated=wallet.simulated)
        pump = Pump(store, clock, told, delivery.send)
        learning = Pump(store, clock, (spark,), delivery.send)

        async def back(surface: str) -> None:
            await delivery.again(surface)
            await boards.again(surface)

        telegram = await chats.telegram(settings, store, clock, ids, nursery, partial(back, "telegram"))
        shortcuts = chats.shortcuts(
            settings, store, clock, ids, identities, (delivery.send, partial(delivery.again, "shortcuts"))
        )
        approvals.carries(proxies.KIND, partial(proxies.carry, hub))
        sources = Sources(
            clock, ids, store, store, health, agents, coordinator.crew, check=identities.check, able=hands.ready, spark=spark,
            here=coordinator.is_here,
        )  # fmt: skip
        web = sidecar(
            settings,
            sources,
            telegram,
            shortcuts,
            partial(proxies.task_line, partial(_understand, hub)),
            partial(worker_routes, coordinator.desk, identities.check, files_of.taken),
        )

        async def ended(number: int) -> str | None:
            task = await coordinator.show(number)
            return task.status.value if task.over else None

        serving = selling(settings, sources, nursery, hub, cashier or Till(till.invoices), supervisor)
        outside = node if isinstance(node, SimulatedNode) else None
        calls = {
            **owner.calls(hub, web.login_link, settings.fingerprint(), outside, lambda: serving.listens),
            **serving.calls(),
            **mcp_clients.calls(hub, store, dispatcher.receive, ids, delivery, nursery),
            **announce.calls(store, identities, notices, delivery.send, health.surfaces, chats.listed(settings)),
        }
        console = ConsoleSurface(
            data, ids, calls, partial(delivery.again, "console"), ended, lambda key: hub.assistant().leave(key)
        )
        surfaces: list[ChatAdapter] = [console]

        if telegram is not None:
            boards.attach(telegram.name, telegram)
            speaking.attach(telegram.name, telegram)
            surfaces.append(telegram)
        watch = Watch(
            health, store, notices, clock, lambda: identities.everybody(CONSOLE_OWNER), delivery.send, held.check
        )
        rounds = Rounds(store, coordinator)
        looks = rounds.look, pump.look, learning.look, schedules.look
        lookout = Lookout(looks, store, notices, clock, lambda: identities.everybody(CONSOLE_OWNER), delivery.send)
        health.stuck = lambda: lookout.stuck
        if settings.matrix.on:
            heard = (
                partial(back, "matrix"),
                partial(watch.warn, "matrix"),
                partial(chats.ask_verified, approvals, identities),
                (lambda user: identities.known(f"matrix:{user}")),
            )
            matrix = await chats.matrix(settings, store, clock, ids, nursery, heard)
            approvals.carries("matrix-verify", lambda approval: matrix.confirm(approval.action))
            boards.attach(matrix.name, matrix)
            delivery.branch(matrix.name, matrix)
            speaking.attach(matrix.name, matrix)
            surfaces.append(matrix)
        surfaces += chats.channels(settings, partial(back, "apprise"))
        hearing.attach(shortcuts)
        surfaces += shortcuts
        for surface in surfaces:
            delivery.attach(surface)
        health.surfaces.extend(surfaces)
        store.listen(identities.heard)
        store.listen(pump.heard)
        store.listen(learning.heard)
        store.listen(boards.heard)
        store.listen(console.heard)
        store.listen(web.heard)
        store.listen(proxies.ending(hub.hush))
        store.listen(coordinator.heard)
        store.listen(coordinator.desk.heard)
        coordinator.desk.listen(boards.heard)
        coordinator.desk.listen(console.heard)
        store.listen(escrow.heard)
        gateways = far.office(
            settings, store, coordinator.desk, identities.check_digest, files_of.taken, ids=ids, nursery=nursery
        )

        await spark.load()
        await coordinator.crew.load()
        await stack.enter_async_context(web.listening())
        await agents.load()
        await _meet(till.own)
        await spending.preset(_presets(settings))
        await wallet.grant(CONSOLE_OWNER, to_msat(settings.wallet.grant))
        await pump.enroll()
        await learning.enroll()
        await links.tidy()
        await identities.refresh()
        await notices.load()
        await watch.tidy()
        await delivery.begin()
        supervisor.start("web", web.run)
        supervisor.start("events", partial(_after, dispatcher.caught_up, pump.run))
        supervisor.start(spark.name, learning.run)
        supervisor.start("retention", Retention(store, clock, till.invoices.caught_up, notices.knows, notices.load).run)
        # Work and clock wait for the first look: nobody is paid with what the node has let go of meanwhile. The look itself is not
        # broken off, or a task that it posts would be left lying.
        supervisor.start("escrow", escrow.run, abroad=True)
        await _first_look("what is held for tasks", escrow.looked.wait())
        # What the last stop left comes first: leases begin anew before the clock looks at them, old messages have
        # their turn before new ones come in.
        await coordinator.recover()
        await dispatcher.recover()
        begin_servers(store, clock, approvals, lambda: identities.everybody(CONSOLE_OWNER), supervisor)
        await approvals.recover(nursery)
        supervisor.start("clock", coordinator.run)
        supervisor.start("crew", coordinator.crew.run)
        nursery.spawn(till.own.watch(), "node watch")
        supervisor.start(NODE_PART, till.invoices.run, abroad=True)
        supervisor.start("payments", till.payments.run, abroad=True)
        if gateways is not None:
            supervisor.reach("redis", gateways.run, longest=REDIS_PAUSE)
        supervisor.start("watch", watch.run)
        supervisor.start("lookout", lookout.run)
        supervisor.start("notices", notices.run)
        daily = Daily(
            store, clock, hub.zone, till.reconciler, lambda: identities.everybody(CONSOLE_OWNER), notices,
            delivery.send, simulated=wallet.simulated,
        )  # fmt: skip
        supervisor.start("report", daily.run)
        supervisor.start("schedules", schedules.run)
        supervisor.start("approvals", approvals.run)
        for surface in surfaces:
            supervisor.start(surface.name, partial(surface.run, dispatcher.receive))
        await console.listening()
        await contained.begin(kept=await store.read(lambda tx: tx.keeps_containers()))
        await serving.begin()
        await agent.begin(store)
        health.ready = True
        try:
            yield App(
                settings, hub, store, dispatcher, delivery, console, supervisor, health, web.address, serving, watch
            )
        finally:
            health.ready = False
            coordinator.desk.close()
            await dispatcher.drain(DRAIN_SECONDS)
            await delivery.stop(LAST_WORDS_SECONDS)
            supervisor.stop()


def _with_servers(settings: Settings, toolbox: Toolbox) -> tuple[Toolbox, Callable[..., None]]:
    """The toolbox with the tools of MCP servers in it, where there are any, and what starts them."""
    if settings.mcp.servers is None:
        return toolbox, lambda *_: None
    from bot.parts.mcp_servers import Servers  # noqa: PLC0415 - where there are any

    servers = Servers(settings, toolbox)
    return servers, servers.begin


def _speech(
    settings: Settings, stack: contextlib.AsyncExitStack, ear: Ear | None, mouth: Mouth | None
) -> tuple[Ear, Mouth]:
    """What hears and what speaks. The child process of each starts when it is first used, and ends with the hub."""
    hears, listener = engines.ear(settings.speech.stt, settings.speech.model_dir)
    speaks, encoder = engines.mouth(settings.speech.tts, settings.speech.model_dir)
    stack.push_async_callback(listener.close)
    stack.push_async_callback(encoder.close)
    return ear or hears, mouth or speaks


async def talk(app: App) -> None:
    """The console of `timmy run --console`: a prompt on a terminal, plain lines on a pipe."""
    near, far = QueueLink.pair()
    async with running(app.console.serve(far), "console"):
        try:
            place = Place(app.settings.data_dir, app.settings.workspace, hosts=True)
            await console_talk(near, app.hub.registry.described(), place)
        finally:
            near.close()


def _aloud(reply: Reply) -> str:
    from adapters import markup  # noqa: PLC0415 - for the first who has answers said

    return markup.speech(markup.of(reply))


def _together(found: Sequence[Held], zone: ZoneInfo | None) -> Sequence[Reply]:
    from bot import views_notices  # noqa: PLC0415 - for the end of the first quiet hours

    return views_notices.together(found, zone)


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


def _understand(hub: Hub, text: str) -> Meaning:
    """What a sentence means here. It may name agents, and personas that can be spawned. Of people, any: anybody may be paid."""
    from core.voice.intent import Known, understand  # noqa: PLC0415 - 3 MB and 30 ms, for the first who says a sentence

    return understand(text, Known(frozenset({*hub.roster.personas, *(agent.name for agent in hub.roster)}), None, None))


def _reports(desk: Callable[[], Desk]) -> Callable[[int, str, str], None]:
    """How the hub's own agents say how it goes, to a desk that is made after them."""
    return lambda number, agent, text: desk().reports(number, agent, text)


async def _names(store: Database, roster: Roster, workspace: Path) -> Names:
    """What can be named by voice now."""
    from core.voice.expected import MOST_NAMES, Names  # noqa: PLC0415 - for the first who speaks

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
    from adapters.web.server import Site, probe  # noqa: PLC0415 - as in `sidecar`

    site = Site(settings.http.host, settings.http.port)
    folder.keep_apart(settings.workspace, settings.data_dir)
    new = not settings.data_dir.exists()
    if new:
        await probe(site)
    data = stack.enter_context(folder.own(settings.data_dir))  # a hub that runs is named before its port is
    if not new:
        await probe(site)
    return data


class _Files:
    """What is handed over as a file, on the shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def place(self, file: ResultFile) -> str:
        """Where it is."""
        return str(self._shelf.path(file.sha256, file.name))

    async def keep(self, name: str, content: bytes) -> str:
        """Keep what is in memory; returns where it is."""
        (kept,) = await self._shelf.put([(name, content)])
        return self.place(kept)

    async def taken(self, files: Sequence[tuple[str, bytes]]) -> tuple[ResultFile, ...]:
        """Keep what a worker sent, under names that mean nothing but a file."""
        return await self._shelf.put([(plain_name(name), content) for name, content in files])

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
