"""The one way in: dedupe, authorize, route, run, answer.

A message is stored before anything else; then it waits for its turn in a lane. Within a conversation commands keep
their order, and so do questions to the agent, but a command never waits for a model; control commands wait for nothing.
The answer and the message's "done" are one unit of work, so a crash repeats the turn or the sending, never the effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol, cast

from bot import proxies
from bot.approvals import ApprovalTx
from bot.replies import (
    NotAdmitted,
    NotRecorded,
    TooBusy,
    aside,
    did_you_say,
    from_error,
    naming,
    question,
    transcript,
)
from bot.routing import BY_ITSELF, NO_TOOLS, ChangesNothing, DeletesNothing, NobodyCould, Route, Way, route, words
from bot.taps import earlier, is_said
from bot.welcome import Strangers, joining
from core.access import UNTIMED, NeedsTap, NotAllowed, authorize, noting
from core.agent.tool import Use
from core.chat import MAX_TEXT, Outgoing, Reply, Role
from core.errors import HubError, WentWrong
from core.pairing import LockedOut
from core.store import NotWritten, StoreClosed, patiently
from core.swarm.orders import Order
from core.voice.hearing import NotSure, NotUnderstood, SpokenYes, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.delivery import Delivery
    from bot.hub import Hub
    from bot.registry import Command
    from bot.taps import Taps
    from core.automation.schedules import ScheduleStore
    from core.chat import Caller, CommandCall, Inbound
    from core.ports import Spawner
    from core.store import Store
    from core.voice.intent import Meaning

log = logging.getLogger(__name__)

MAX_WAITING = 200
"""Messages of one lane that may wait their turn; more are refused, with an answer that says so."""

_PLANS = frozenset({"every", "at"})
"""The commands that plan."""

_LOOKED_BACK = 4
"""So many messages back a time may belong to a wish: it was asked for more than once, as `tomorrow` is no hour."""


class InboxTx(ApprovalTx, Protocol):
    """A unit of work over messages, who their senders are, what they were asked, and what they planned."""

    @property
    def schedules(self) -> ScheduleStore:
        """Schedules and their runs."""


class Dispatcher:
    """Takes messages from every surface, one turn at a time per lane."""

    def __init__(
        self,
        hub: Hub,
        store: Store[InboxTx],
        delivery: Delivery,
        spawner: Spawner,
        understand: Callable[[str], Meaning],
        taps: Taps,
    ) -> None:
        self._hub = hub
        self._store = store
        self._delivery = delivery
        self._spawner = spawner
        self._understand = understand
        self._taps = taps
        self._strangers = Strangers(hub)
        self._lanes: dict[str, deque[Inbound]] = {}
        self._routes: dict[int, Route | HubError] = {}
        self._told: dict[int, list[Outgoing]] = {}  # answers that are written already, by their message
        self._held: dict[int, str] = {}  # where else an answer goes, by its message
        self._turns = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._recovering: set[int] = set()
        self.caught_up = asyncio.Event()
        """Set once the commands that the last stop left unanswered have their answers; what follows from them comes after."""

    async def receive(self, message: Inbound) -> None:
        """Store a message and queue its turn; returns once it is durable. The same update again does nothing.

        What strangers wrote, and what was written where the hub is not admitted, is not kept.
        """
        if self._strangers.ignored(message):
            return

        def keep(tx: InboxTx) -> Inbound | None:
            known = self._hub.identities.role_in(tx, message.actor, message.account) is not Role.GUEST
            kept = message._replace(text=message.text[: MAX_TEXT + 1])
            if not known or not message.admitted:
                kept = kept._replace(text=joining(message), files=())
            number = tx.messages.receive(kept, tx.now)
            return kept._replace(id=number) if number else None

        kept = await self._store.write(keep)
        if kept is not None:
            self._queue(kept)

    async def recover(self) -> int:
        """Take up the messages that the last stop left unanswered; returns how many."""
        waiting: Sequence[Inbound] = await self._store.read(lambda tx: tx.messages.unanswered())
        self._recovering = {message.id for message in waiting if self._queue(message)}
        if not self._recovering:
            self.caught_up.set()
        return len(waiting)

    async def drain(self, seconds: float) -> None:
        """Let the turns under way end, for a while; what is left is taken up at the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def take(self, message: Inbound) -> None:
        """Queue the turn of a message that is kept already: one that a schedule says for its person."""
        self._queue(message)

    def _route(self, message: Inbound) -> Route | HubError:
        try:
            return route(self._hub.registry, self._understand, message)
        except HubError as error:
            return error

    def _queue(self, message: Inbound) -> bool:
        """Find a message's lane; true where its turn is a command's, which others wait for."""
        found = self._route(message)
        command = None if isinstance(found, HubError) else found.command
        way = None if isinstance(found, HubError) else found.way
        if command is not None and way is Way.RUN and command.control:
            self._spawner.spawn(self._at_once(message, found), f"control {message.key}")
            return False
        talk = command is not None and command.talk and way is Way.RUN
        if command is not None and command.interrupts and way is Way.RUN:
            self._hub.assistant().stop(message.conversation)
        slow = command is not None and command.slow and way is Way.RUN
        kind = " slow" if slow else " files" if way in {Way.FILES, Way.HEAR} else ""
        self._enter(_talk(message) if talk else f"{message.lane or message.conversation}{kind}", message, found)
        return not (talk or kind)

    def _enter(self, lane: str, message: Inbound, found: Route | HubError) -> None:
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = deque()
            self._spawner.spawn(self._run(lane), f"lane {lane}")
        elif len(waiting) >= MAX_WAITING:
            refused = message._replace(text="", files=())
            self._spawner.spawn(self._at_once(refused, TooBusy()), f"refusal {message.key}")
            return
        self._routes[message.id] = found
        waiting.append(message)

    async def _run(self, lane: str) -> None:
        waiting = self._lanes[lane]
        try:
            while waiting:
                message = waiting[0]
                try:
                    await self._turn(message, self._routes.pop(message.id))
                except StoreClosed:
                    return  # the hub is stopping: what is left is taken up at the next start
                except Exception:
                    log.exception("the turn of %s broke off; it is taken up at the next start", message.key)
                waiting.popleft()
        finally:
            self._lanes.pop(lane, None)

    async def _at_once(self, message: Inbound, found: Route | HubError) -> None:
        """A turn that waits for no other; one that a stop breaks off is taken up at the next start."""
        with contextlib.suppress(StoreClosed):
            await self._turn(message, found)

    async def _turn(self, message: Inbound, found: Route | HubError) -> None:
        apart = isinstance(found, Route) and (
            found.way is Way.HEAR
            or (found.way is Way.RUN and found.command is not None and (found.command.talk or found.command.slow))
        )  # it takes its time, and what follows from other turns is told meanwhile
        if not apart:
            self._delivery.hold(message.conversation)
        slow = isinstance(found, Route) and found.command is not None and found.command.slow  # no stop waits for it
        self._turns += not slow
        if not slow:
            self._idle.clear()
        try:
            replies = await self._reply(message, found)
            if replies is not None:
                await self._answer(message, replies)
        finally:
            self._turns -= not slow
            if not self._turns:
                self._idle.set()
            if not apart:
                for held in (message.conversation, self._held.pop(message.id, None)):
                    if held is not None:
                        self._delivery.let_go(message.surface, held)
                self._recovering.discard(message.id)
                if not self._recovering:
                    self.caught_up.set()

    async def _answer(self, message: Inbound, replies: Sequence[tuple[str, Reply, str | None]]) -> None:
        """Write the replies (conversation, reply, message it replaces) with the end of the turn, then hand them on."""

        def answer(tx: InboxTx) -> list[Outgoing]:
            tx.messages.done(message.id)
            told = self._hub.schedules().answered(tx, message, replies) if message.schedule else replies
            return [
                tx.messages.queue(message.surface, where, reply, message.key, tx.now, replaces=replaced)
                for where, reply, replaced in told
            ]

        written = self._told.pop(message.id, None)
        try:
            if written is None:
                written = await self._store.write(answer)
        except NotWritten as error:
            words = from_error(NotRecorded(why=error))
            self._delivery.send(Outgoing(0, message.surface, message.conversation, words, message.key))
            written = await patiently(self._store, answer, self._hub.clock)
        for outgoing in written:
            self._delivery.send(outgoing)

    async def _reply(self, message: Inbound, found: Route | HubError) -> Sequence[tuple[str, Reply, str | None]] | None:
        """What is answered, and where; None where the message takes another lane, and is answered there."""
        here = message.conversation
        try:
            caller = await self._hub.identities.caller(
                message.actor, private=message.private, acting_for=message.acting_for, credential=message.account
            )
            caller = caller._replace(doubt=message.doubt, schedule=message.schedule)
            if not message.admitted:
                if caller.role is Role.GUEST:
                    self._strangers.silence(message)
                owns = caller.role is Role.OWNER
                return [(here, from_error(_not_admitted(here)), None)] if owns else []
            if caller.role is Role.GUEST and not message.schedule:
                return await self._stranger(message, found, caller)
            return await self._act(message, found, caller)
        except HubError as error:
            apart = error.private and not message.private and message.home
            answers, instead = (found.answers, found.instead) if isinstance(found, Route) else (False, "")
            words = from_error(error, message.text, answers=answers, instead=instead)
            told: list[tuple[str, Reply, str | None]] = [(here, aside() if apart else words, None)]
            return [(message.home, words, None), *told] if apart else told
        except Exception:
            log.exception("the turn of %s failed", message.key)
            return [(here, from_error(WentWrong()), None)]

    async def _stranger(
        self, message: Inbound, found: Route | HubError, caller: Caller
    ) -> Sequence[tuple[str, Reply, str | None]]:
        """A stranger says a link code, or nothing that matters."""
        if not joining(message) or not isinstance(found, Route):
            return [(message.conversation, await self._strangers.welcome(message), None)]
        try:
            return await self._carried_out(found, caller, message.key)
        except LockedOut:
            self._strangers.bar(message)
            raise

    async def _act(  # noqa: PLR0911 - one line a way
        self, message: Inbound, found: Route | HubError, caller: Caller
    ) -> Sequence[tuple[str, Reply, str | None]] | None:
        if isinstance(found, HubError):
            raise found
        here = message.conversation
        match found.way:
            case Way.TAP:
                return await self._tapped(message, caller)
            case Way.ANSWER:
                return await self._answered(message, found, caller)
            case Way.WHEN:
                return await self._timed(message, found, caller)
            case Way.FILES:
                return await self._kept(message, caller)
            case Way.HEAR:
                return await self._heard(message, caller)
            case Way.EITHER:
                return await self._either(message, found, caller)
            case Way.ASK if caller.proxy is None:  # a device is not asked back: its person is, where it must not act
                return [(here, self._asked(found, caller), None)]
            case Way.RUN | Way.ASK:
                return await self._carried_out(found, caller, message.key, tells=True)

    async def _answered(
        self, message: Inbound, found: Route, caller: Caller
    ) -> Sequence[tuple[str, Reply, str | None]] | None:
        """Take a yes or a no for the button of the last open question; where there is none, it is for the agent."""
        if message.spoken and found.yes:
            raise SpokenYes
        tap = await self._taps.answer(message, caller, yes=found.yes)
        if tap is not None:
            return await self._tapped(message._replace(tap=tap), caller)
        self._to_agent(message, Route(Way.RUN, message, found.command, answers=True))
        return None

    async def _timed(
        self, message: Inbound, found: Route, caller: Caller
    ) -> Sequence[tuple[str, Reply, str | None]] | None:
        """Take a time for the reminder that they just asked for without one; any other is for the agent."""
        from core.voice.schedule import completed  # noqa: PLC0415 - loaded by who gave the meaning, not by a start

        before = await self._store.read(
            lambda tx: [one.text for one in islice(filter(is_said, earlier(tx, message, caller)), _LOOKED_BACK)]
        )
        if (meant := completed(before, message.text, self._understand)) is not None:
            both = message._replace(text=meant)
            return await self._act(message, words(self._hub.registry, self._understand, both), caller)
        self._to_agent(message, Route(Way.RUN, message, found.command))
        return None

    async def _either(
        self, message: Inbound, found: Route, caller: Caller
    ) -> Sequence[tuple[str, Reply, str | None]] | None:
        """Hand what the agent can do on to its lane; else it goes as its command does."""
        settled = await self._settled(found, caller, message.key)
        if settled.way is not Way.RUN:
            return await self._act(message, settled, caller)
        self._to_agent(message, settled)
        return None

    def _to_agent(self, message: Inbound, asks: Route) -> None:
        """Let a message take its turn among the questions to the agent."""
        self._enter(_talk(message), message, asks)

    async def _settled(self, found: Route, caller: Caller, key: str) -> Route:
        """A message as it goes now, where it may go to either: to the agent if a model answers that may call what it takes.

        What went to the agent stays the agent's: before a crash it may have asked about a call, and no other command is
        offered for the same wish. Raises `ChangesNothing` where the agent would have to ask, and nobody could answer: that
        is no reason to pay somebody; `DeletesNothing` where it cannot, and nobody could for sats; and `NobodyCould`.
        """
        if found.way is not Way.EITHER:
            return found
        if caller.proxy is not None and found.deletes:
            raise DeletesNothing(why="it has to ask you first. Say it in a chat with me.")
        if caller.proxy is not None and found.changes:
            raise ChangesNothing
        taken, ask = f"{key}/agent", self._hub.registry.get("ask")
        if await self._store.read(lambda tx: tx.applied(taken)) is not None:
            return found.by_agent(ask)._replace(instead="")
        assistant, here = self._hub.assistant(), found.message.conversation
        if not (await self._hub.brains.card(await assistant.chosen(here))).tools:
            why = await self._hub.brains.check() or NO_TOOLS
            if found.deletes:
                raise DeletesNothing(why=why)
            await self._refuse_vain(found, caller)
            return found._replace(way=Way.ASK, why=f"{why} {BY_ITSELF}")
        if any(tool.spec.name in found.tools for tool in assistant.tools(Use(caller, here, ""))[0]):
            await self._store.write(lambda tx: tx.mark(taken, ""))
            return found.by_agent(ask)
        if found.deletes:
            raise DeletesNothing(why="it has no tool for it.")
        return found._replace(way=Way.ASK)

    async def _refuse_vain(self, found: Route, caller: Caller) -> None:
        """Raise `NobodyCould` where it is a task for whoever is here that would fail at once, and what is wrong with it."""
        call = self._hub.registry.call(cast("Command", found.command), found.message, caller)
        if call.name != "task" or not call.args.keys() <= {"what", "max", "by"}:
            return
        order = Order(caller, call.conversation, cast("str", call.args["what"]), call.key)
        if why := await self._hub.coordinator.vain(order):
            raise NobodyCould(why=why)

    async def _heard(self, message: Inbound, caller: Caller) -> Sequence[tuple[str, Reply, str | None]] | None:
        """Hear a voice note. What is surely heard becomes the message's text, durably, and takes its turn as any text.

        A device gets one answer to each request: its surface shows in it what was heard, and nothing is asked back.
        """
        heard, verdict = await self._hub.hearing.take(message, caller)
        spoken = message._replace(text=heard.text, files=(), spoken=True)
        if verdict is Verdict.ASK and caller.proxy is not None:
            raise NotSure(text=heard.text)
        if verdict is Verdict.ASK:
            return [(message.conversation, await self._doubted(spoken, caller), None)]

        def note(tx: InboxTx) -> Outgoing | None:
            tx.messages.heard(message.id, heard.text)
            if caller.proxy is not None:
                return None
            return tx.messages.queue(message.surface, message.conversation, transcript(heard.text), message.key, tx.now)

        shown = await patiently(self._store, note, self._hub.clock)
        await self._hub.hearing.heard(message)
        if shown is not None:
            self._delivery.send(shown)
        self._queue(spoken)
        return None

    async def _doubted(self, message: Inbound, caller: Caller) -> Reply:
        """Ask whether it was said. A yes or no that was not heard well answers nothing."""
        found = await self._settled(words(self._hub.registry, self._understand, message), caller, message.key)
        now = self._hub.clock.now()
        if found.way is Way.ANSWER:
            raise NotUnderstood
        asked = self._asked(found, caller) if found.way is Way.ASK else None
        return did_you_say(message.text, found.message.text, message.actor, now, asked)

    def _asked(self, found: Route, caller: Caller) -> Reply:
        """Ask back what a phrase meant. What its command would refuse to read is refused at once."""
        call = self._hub.registry.call(cast("Command", found.command), found.message, caller)
        if call.name in _PLANS:
            from bot import scheduling  # noqa: PLC0415 - for the first who plans by a phrase

            scheduling.read(self._hub, call)
        _refuse_secret(call)
        return question(call, self._hub.coordinator.rules.budget, self._hub.clock.now(), found.why)

    async def _tapped(self, message: Inbound, caller: Caller) -> Sequence[tuple[str, Reply, str | None]]:
        """Carry out what a button means, where it stands; the answer to a question stands in its place."""
        if caller.doubt:  # before the question counts as answered
            raise NotAllowed(action="press that", rule=caller.doubt)
        tap = await self._taps.take(message, caller)
        if tap.conversation != message.conversation:  # what follows from it waits for its answer there
            self._delivery.hold(tap.conversation)
            self._held[message.id] = tap.conversation
        message = message._replace(conversation=tap.conversation)
        if not tap.command:
            return [(message.conversation, Reply("Nothing was done."), tap.replaces)]
        instead = ""
        try:
            said = words(self._hub.registry, self._understand, message._replace(text=tap.command))
            found = await self._settled(said, caller, tap.key)
            instead = found.instead
            if said.way is Way.EITHER and found.way is Way.ASK:  # the agent could, when they were asked
                return [(message.conversation, self._asked(found, caller), tap.replaces)]
            if found.command is not None and found.command.slow:  # a message of its own: nothing waits for it
                await self.receive(
                    message._replace(update=f"tap {message.tap}", text=tap.command, tap="", tapped="", id=0)
                )
                return []
            replies = await self._carried_out(found, caller, tap.key)
        except HubError as error:
            return [(message.conversation, from_error(error, instead=instead), tap.replaces)]
        if not message.tapped:
            replies = [(where, naming(reply, tap.command), stands) for where, reply, stands in replies]
        return [(where, reply, tap.replaces if where == message.conversation else None) for where, reply, _ in replies]

    async def _kept(self, message: Inbound, caller: Caller) -> Sequence[tuple[str, Reply, str | None]]:
        """Keep a message's files in the workspace, then take what was written with them."""
        kept = await self._hub.files.take(message, caller)
        if not message.text:
            return [(message.conversation, kept.reply, None)]
        instead = ""
        try:
            found = words(
                self._hub.registry, self._understand, message._replace(text=kept.named(message.text), files=())
            )
            found = await self._settled(found, caller, message.key)
            instead = found.instead
            if found.way is Way.ASK:
                return [(message.conversation, self._asked(found, caller), None)]
            return await self._carried_out(found, caller, message.key)
        except HubError as error:
            return [(message.conversation, kept.but(error, instead), None)]

    async def _carried_out(
        self, found: Route, caller: Caller, key: str, *, tells: bool = False
    ) -> Sequence[tuple[str, Reply, str | None]]:
        """Run a command. What only its caller may read goes where only they read; a group is told that it did.

        `tells`: its answer is all that the message comes to, so it may be written with the effect.
        """
        command, message = cast("Command", found.command), found.message
        with noting() as decided:
            try:
                return await self._done(found, caller, key, tells=tells)
            finally:
                self._hub.decisions.note(message.actor, message.conversation, command.name, decided)

    async def _done(
        self, found: Route, caller: Caller, key: str, *, tells: bool
    ) -> Sequence[tuple[str, Reply, str | None]]:
        command, message = cast("Command", found.command), found.message
        apart = command.private and not message.private and bool(message.home)
        if apart:
            caller = caller._replace(private=True)
        try:
            if caller.schedule and not command.timed(message.text):
                raise NotAllowed(action=f"have /{command.name} run at times", rule=UNTIMED)
            if command.action is not None:
                authorize(caller, command.action, own=command.own)
            call = replace(self._hub.registry.call(command, message, caller), key=key)
            telling = tells and not apart and not message.schedule
            reply = await (self._telling(command, call, message) if telling else command.run(self._hub, call))
        except NeedsTap as why:
            call = replace(self._hub.registry.call(command, message, caller), key=key)
            _refuse_secret(call)
            reply = await proxies.put(self._hub, self._store, call, why, message.account)
        if apart:
            return [(message.home, reply, None), (message.conversation, aside(), None)]
        return [(message.conversation, reply, None)]

    async def _telling(self, command: Command, call: CommandCall, message: Inbound) -> Reply:
        """Run a command that may write its answer with its effect, which is one commit less to wait for."""

        def tell(tx: InboxTx, reply: Reply) -> None:
            tx.messages.done(message.id)
            outgoing = tx.messages.queue(message.surface, message.conversation, reply, message.key, tx.now)
            self._told[message.id] = [outgoing]

        try:
            return await command.run(self._hub, replace(call, tell=tell))
        except BaseException:
            self._told.pop(message.id, None)
            raise


def _refuse_secret(call: CommandCall) -> None:
    """Raise what is wrong with something that is to be remembered, before it is shown in a question."""
    if call.name == "remember":
        from core.agent.memory import kept  # noqa: PLC0415 - for the first who is asked about one

        kept(cast("str", call.args["text"]))


def _talk(message: Inbound) -> str:
    """The lane of questions to the agent: each is answered with those before it known, whoever of one conversation asks."""
    return f"{message.conversation} talk"


def _not_admitted(conversation: str) -> NotAdmitted:
    surface, _, place = conversation.partition(":")
    setting = "TIMMY_MATRIX_ROOMS" if surface == "matrix" else "TIMMY_TELEGRAM_CHATS"
    return NotAdmitted(place=place.partition("/")[0], setting=setting)
