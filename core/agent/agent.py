"""The hub's agent: plain text and the conversation so far go to the model, its answer comes back piece by piece.

Conversations share nothing here, so a slow answer delays only its own. An exchange is written once, under the key of
the message behind it, when it is over. What the model called on the way is written as it is done (`loop.py`): after a crash the
message is answered behind that, and no round of calls is made twice that was over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from core.agent.loop import Loop, Scene, Turned, cut, failed, refused, repeats
from core.agent.memory import NO_NOTES
from core.agent.model import Bounds, ModelOverfull, ModelSaidNothing, ModelSlow, fitting, installed
from core.agent.prompt import agent_prompt, plain
from core.agent.session import HISTORY_TURNS, Step, Turn
from core.agent.tool import NoTools
from core.approval import State, approval_name
from core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from core.agent.loop import Asker
    from core.agent.memory import Notes
    from core.agent.model import Model
    from core.agent.session import AgentTx, Called
    from core.agent.thinking import Round, Thoughts
    from core.agent.tool import Tool, Toolbox, Use
    from core.errors import HubError
    from core.store import Store
    from core.swarm.ports import ResultFile

STOPPED = "(stopped)"
"""The last words of an answer that /stop ended."""

ROUND_SHARE = 0.5
"""How much of the time that an answer may take a round of thinking aloud may."""


MOST_LEFT = 32
"""So many messages are remembered whose answers nobody waits for, and that have not begun."""


class ModelChoice(NamedTuple):
    """Which models a conversation can have: `chosen` with /model (None: none), the hub's `default`, all `installed`."""

    chosen: str | None
    default: str
    installed: tuple[str, ...]


class Answer(NamedTuple):
    """What the agent answered, the files made for it, and what was called.

    That is `name`, `name: failed`, `name: refused` or `name: /approve A-1`. `asks` are the approvals that people were asked for.
    `ended`: why it ended early, in words; empty where it is whole.
    """

    text: str
    files: tuple[ResultFile, ...] = ()
    called: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    ended: str = ""


@dataclass(slots=True, eq=False)
class _Speech:
    """An answer from its question to its last word; `scope` ends it, by time or by /stop."""

    conversation: str
    key: str
    speakers: Collection[str] = ()
    turned: Turned = field(default_factory=Turned)
    stopped: bool = False
    scope: asyncio.Timeout | None = None

    def stop(self) -> None:
        self.stopped = True
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(0)


class Assistant:
    """Answers people. Keeps conversations in `store`; asks `model` within `bounds`, which may call what is in `toolbox`."""

    def __init__(
        self, store: Store[AgentTx], model: Model, *, bounds: Bounds | None = None, toolbox: Toolbox | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._model = model
        self._bounds = bounds or Bounds()
        self._loop = Loop(model, self._bounds)
        self._toolbox = toolbox or NoTools()
        self.asker: Asker | None = None
        """Who puts calls to people; None: nothing that needs one is called."""
        self._speeches: set[_Speech] = set()
        self._left = deque[str](maxlen=MOST_LEFT)

    async def answer(
        self, conversation: str, text: str, key: str, tell: Callable[[str], None], *, speakers: Collection[str] = ()
    ) -> str:
        """The agent's answer in words alone; it calls nothing. See `turn`."""
        return (await self.turn(conversation, text, key, tell, speakers=speakers)).text

    async def turn(  # noqa: PLR0913 - all that a turn is of
        self, conversation: str, text: str, key: str, tell: Callable[[str], None], *, speakers: Collection[str] = (),
        use: Use | None = None, done: Called | None = None, notes: Notes = NO_NOTES,
    ) -> Answer:  # fmt: skip
        """The agent's answer to `text` of `speakers`; `tell` is given what was said so far, piece by piece.

        A device speaks together with its person: where either is hushed, both are.
        A `key` that was answered before gets the same answer again, and the model is not asked. An answer that ends
        early (`stop`, a limit, a model that breaks off) is kept as far as it came, with its last line saying so.
        `notes`: what is known besides of whoever asks. `use`: on whose behalf tools may be called; none are without. `done`:
        what was done since, and the turn begins with.

        Raises the model's errors when not a word was said, and `TooLongForModel`. Cancelled, it keeps what was called.
        """
        speech = self._speech(conversation, key, speakers)
        self._speeches.add(speech)
        try:
            earlier, model, turns, steps = await self._store.read(lambda tx: _recall(tx, conversation, key))
            if earlier is not None:
                return _answer(earlier, steps)
            if done is not None and not steps:
                window = fitting(self._bounds.window, await self._model.card(model))
                steps = [Step("", (done._replace(result=cut(done.result, window)),))]
            speech.turned.steps.extend(steps)
            scene = self._scene(turns, text, use, notes)
            end = await self._speak(speech, scene, key, model, tell)
        finally:
            self._speeches.discard(speech)
        words = plain(speech.turned.said).strip()
        answer = "\n\n".join(filter(None, (words, end)))
        if not answer:
            raise ModelSaidNothing
        said = Turn("assistant", words, key, _speaker(use), scene.tainted or speech.turned.outside)
        kept = await self._store.write(lambda tx: _keep(tx, conversation, text, said, speech.turned.steps, answer))
        return _answer(kept, speech.turned.steps)._replace(ended=_bare(end))

    def _scene(self, turns: Sequence[Turn], text: str, use: Use | None, notes: Notes) -> Scene:
        """What the model is given, and whose turn it is: what somebody else said or read here is from outside for it."""
        tainted = notes.outside or any(turn.tainted or turn.speaker != _speaker(use) for turn in turns)

        def prompt(calls: bool) -> str:  # noqa: FBT001 - as `Scene` asks for it
            return agent_prompt(calls=calls, notes=notes.text)

        if use is None:
            return Scene(prompt, turns, text, tainted=tainted)
        tools = self._toolbox.offered((), use.caller)
        return Scene(prompt, turns, text, tools, use, self.asker, tainted)

    async def think(
        self, conversation: str, topic: str, key: str, tell: Callable[[str], None], *, speakers: Collection[str] = (),
        use: Use | None = None,
    ) -> Answer:  # fmt: skip
        """Thoughts on a topic, at length (`thinking.py`), told and ended as an answer is.

        The conversation keeps the topic and the last round alone: one can go on from there, and all of it would push out the rest.

        Raises the model's errors when not a word was said, and `TooLongForModel`.
        """
        from core.agent.thinking import ROUNDS, Thoughts  # noqa: PLC0415 - for the first who wants some

        speech, thoughts, steps = self._speech(conversation, key, speakers), Thoughts(topic), list[Step]()
        self._speeches.add(speech)
        try:
            tools = () if use is None else self._toolbox.offered((), use.caller)
            model = await self._store.read(lambda tx: tx.conversations.model(conversation))
            for one in ROUNDS:
                speech.turned = turned = Turned()
                tell_all = partial(_tell_all, thoughts, one, turned, tell)
                try:
                    end = await self._heard(
                        speech, thoughts.scene(one, tools, use), model, tell_all, _unkept, ROUND_SHARE
                    )
                except (Unavailable, ModelOverfull) as error:
                    if not thoughts.text:
                        raise
                    end = f"({error})"
                steps += turned.steps
                thoughts.add(one, turned)
                if end:
                    text = "\n\n".join(filter(None, (thoughts.text, end)))
                    return _answer(text, steps)._replace(ended=_bare(end))
        finally:
            self._speeches.discard(speech)
        if not thoughts.text:
            raise ModelSaidNothing
        if thoughts.last:
            said = Turn("assistant", thoughts.last, key, _speaker(use), thoughts.tainted)
            asked = f"Think aloud about: {topic}"
            await self._store.write(lambda tx: _keep(tx, conversation, asked, said, (), thoughts.last))
        return _answer(thoughts.text, steps)

    def tools(self, use: Use) -> tuple[Sequence[Tool], Sequence[tuple[str, str]]]:
        """The tools that may be called on somebody's behalf, and those that cannot be now, with the reason."""
        return self._toolbox.offered((), use.caller), self._toolbox.closed()

    def stop(self, conversation: str) -> bool:
        """End what is being said: the model stops at once, `answer` returns what it has. False: nothing was."""
        speeches = [speech for speech in self._speeches if speech.conversation == conversation]
        for speech in speeches:
            speech.stop()
        return bool(speeches)

    def leave(self, key: str) -> None:
        """Nobody waits for the answer to this message any more: it ends where it is, or as soon as it begins."""
        self._left.append(key)
        for speech in self._speeches:
            if speech.key == key:
                speech.stop()

    def _speech(self, conversation: str, key: str, speakers: Collection[str]) -> _Speech:
        return _Speech(conversation, key, speakers, stopped=key in self._left)

    def hush(self, speakers: Collection[str]) -> None:
        """End what is being said to any of these, wherever it is: they are nobody here any more."""
        for speech in self._speeches:
            if not frozenset(speakers).isdisjoint(speech.speakers):
                speech.stop()

    async def new(self, conversation: str) -> None:
        """Begin afresh: the model is not given what was said before. The chosen model stays."""
        await self._store.write(lambda tx: tx.conversations.renew(conversation))

    async def choose(self, conversation: str, name: str | None) -> str | None:
        """Choose a conversation's model; None goes back to the hub's own. Returns the full name.

        Raises `UnknownModel` (it lists those there are), `BadModelName`, or why the models cannot be listed.
        """
        model = None if name is None else await installed(self._model, name)
        await self._store.write(lambda tx: tx.conversations.choose(conversation, model))
        return model

    async def chosen(self, conversation: str) -> str | None:
        """The model chosen for a conversation, None for the hub's own. Asks no model server."""
        return await self._store.read(lambda tx: tx.conversations.model(conversation))

    async def window(self, conversation: str) -> int:
        """The window in which a conversation's model is asked, in tokens."""
        return fitting(self._bounds.window, await self._model.card(await self.chosen(conversation)))

    async def models(self, conversation: str) -> ModelChoice:
        """What /model shows. Raises why the models cannot be listed."""
        return ModelChoice(
            await self.chosen(conversation), await self._model.default(), tuple(await self._model.models())
        )

    async def _speak(
        self, speech: _Speech, scene: Scene, key: str, model: str | None, tell: Callable[[str], None]
    ) -> str:
        """Let the model speak until it is done or ended; returns why it ended early, as its answer's last words."""

        async def keep(number: int, step: Step) -> None:
            await self._store.write(lambda tx: tx.conversations.keep(key, number, step, tx.now))

        return await self._heard(speech, scene, model, tell, keep)

    async def _heard(
        self, speech: _Speech, scene: Scene, model: str | None, tell: Callable[[str], None],
        keep: Callable[[int, Step], Awaitable[None]], share: float = 1,
    ) -> str:  # fmt: skip
        """The same, for whoever keeps the steps otherwise; it may take this share of an answer's time."""
        if speech.stopped:
            return STOPPED
        try:
            async with asyncio.timeout(self._bounds.seconds * share) as speech.scope:
                await self._loop.run(scene, speech.turned, model, tell, keep)
        except TimeoutError:
            if speech.stopped:
                return STOPPED
            return _cut_short(speech, ModelSlow(seconds=round(self._bounds.seconds * share)))
        except (Unavailable, ModelOverfull) as error:
            return _cut_short(speech, error)
        return ""


def _tell_all(thoughts: Thoughts, one: Round, turned: Turned, tell: Callable[[str], None], said: str) -> None:
    tell(thoughts.so_far(one, turned, said))


async def _unkept(_: int, __: Step) -> None:
    """What is only looked at is looked at anew after a crash."""


def _cut_short(speech: _Speech, error: HubError) -> str:
    """What was said is kept, with the error as its end; with nothing said, the error is the answer."""
    if not speech.turned.said.strip() and not speech.turned.steps:
        raise error
    return f"({error})"


def _bare(end: str) -> str:
    return end.removeprefix("(").removesuffix(")")


def _speaker(use: Use | None) -> str:
    return "" if use is None else use.caller.name


def _answer(text: str, steps: Sequence[Step]) -> Answer:
    calls = [call for step in steps for call in step.calls if not repeats(call.result)]
    called = tuple(f"{call.name}{_ended(call)}" for call in calls)
    asks = dict.fromkeys(approval_name(call.asked) for call in calls if call.asked is not None)
    return Answer(text, tuple(dict.fromkeys(file for call in calls for file in call.files)), called, tuple(asks))


def _ended(call: Called) -> str:
    if call.asked is not None:
        return f": /approve {approval_name(call.asked)}"
    return ": failed" if failed(call.result) else ": refused" if refused(call.result) else ""


def _recall(tx: AgentTx, conversation: str, key: str) -> tuple[str | None, str | None, list[Turn], Sequence[Step]]:
    """What is known of a message and its conversation. A call that waited for a person is shown as it stands by now."""
    conversations = tx.conversations
    turns = [
        turn._replace(steps=tuple(_by_now(tx, step) for step in turn.steps))
        for turn in conversations.recent(conversation, HISTORY_TURNS)
    ]
    return tx.applied(key), conversations.model(conversation), turns, conversations.steps(key)


def _by_now(tx: AgentTx, step: Step) -> Step:
    return step._replace(
        calls=tuple(call if call.asked is None else _settled(tx, call, call.asked) for call in step.calls)
    )


def _settled(tx: AgentTx, call: Called, number: int) -> Called:
    found = tx.approvals.find(number)
    match None if found is None else found.state:
        case State.OPEN:
            return call
        case (
            State.APPROVED | State.DONE
        ):  # it is noted as done a little after the conversation goes on with what came of it
            return call._replace(
                result=f"The person agreed to {approval_name(number)}. What came of it is told by itself."
            )
        case _:
            return call._replace(result=f"The person did not agree to {approval_name(number)}. It was not done.")


def _keep(
    tx: AgentTx, conversation: str, text: str, said: Turn, steps: Sequence[Step], answer: str
) -> str:  # fmt: skip
    """Keep an exchange under its message. That its `answer` ended early is no part of it: a model would say so again."""
    earlier = tx.applied(said.cause)
    if earlier is not None:
        return earlier
    for number, step in enumerate(steps):
        tx.conversations.keep(said.cause, number, step, tx.now)
    if said.text or steps:
        tx.conversations.add(conversation, said._replace(role="user", text=text), tx.now)
        tx.conversations.add(conversation, said._replace(text=said.text or answer), tx.now)
    tx.mark(said.cause, answer)
    return answer
