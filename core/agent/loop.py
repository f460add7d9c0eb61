"""The tool loop: the model speaks and calls, the calls are judged and made, their results go back to it, until it only speaks.

It is bounded: so many rounds, calls, broken and repeated calls, characters, and the time of whoever runs it. A tool's failure is
a result that the model reads; nothing that a model calls ends the turn of a person but a limit, which the answer names.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.agent.calls import arguments_of, calls_in, name_of, seems_call
from core.agent.model import ModelOverfull, ModelRambled, ModelRepeats, ToolCall, Unsaid, fitting
from core.agent.needs import called_for
from core.agent.prompt import TooLongForModel, beginning, plain, price, spare, tokens, window
from core.agent.repeating import Repetition
from core.agent.session import Called, Step
from core.agent.tool import BadCall, Effect, Output, Way, addresses, judge
from core.chat import readable
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.agent.model import Bounds, ChatMessage, Model, ToolSpec
    from core.agent.session import Turn
    from core.agent.tool import Tool, Use
    from core.events import Json

log = logging.getLogger(__name__)

MAX_ROUNDS = 8
"""Rounds of calls in one turn; after them the model only speaks."""

MAX_CALLS = 4
"""Calls of one round; small models that call more at once are lost."""

MAX_BROKEN = 3
"""Calls that could not be read; after them the model only speaks."""

MAX_OFFERED = 8
"""Tools of one turn: with more a small model chooses badly."""

MAX_ASKED = 3
"""Calls of one turn that may be put to its person."""

MAX_BARRED = 4
"""Calls of one turn that may turn out not to be possible before their person is asked; each is looked at in a child."""

CALL_SECONDS = 120.0

TOOLS_SHARE = 4
"""One part in this many of the window is the most that the tools of a turn may take."""

ROOM_FOR_RESULTS = 128
"""Tokens that what is called needs at least: who writes so much that less is left is answered without tools."""

RESULT_SHARE = 4
"""One part in this many of the window is the most that one result may take."""

CALL = "call of %s: %s"
"""What is logged of each call, for whoever measures models: its tool, and whether it could be read (make eval)."""

LATELY = 4
"""Turns back, a tool that was called may be meant again."""

_COMMON = frozenset({
    "about", "all", "and", "any", "are", "but", "can", "did", "does", "for", "from", "get", "give", "has", "have",
    "her", "his", "how", "its", "let", "make", "may", "not", "now", "one", "our", "out", "please", "say", "see",
    "she", "show", "tell", "than", "that", "the", "them", "then", "there", "they", "this", "was", "what", "when",
    "where", "which", "who", "why", "will", "with", "would", "you", "your",
})  # fmt: skip
"""Words that tell no tool from another."""

_NAME = 60
"""Characters of a tool's name that are repeated to a model."""

_DOING = 200
"""Characters of what a call does that are shown while it is done."""

_WORD = 3
"""Letters of a word that means something."""

_FAILED = "Error: "
_REFUSED = "Refused: "
_BROKEN_OFF = "It was broken off; look whether it was done before you call it again."
_NOBODY = f"{_REFUSED}this waits for a person to agree, and nobody is there. Do without it."
_WAITS_ENOUGH = f"{_REFUSED}enough waits for the person already. End your answer."
_BARRED_ENOUGH = f"{_REFUSED}too many of your calls cannot be done. End your answer, and say what stands in the way."
_AGAIN = "You called this already, with the same arguments; see its result above. Do not call it again."
_SAME = "This is the same call as one above, and was made once; see its result there."
_ENOUGH = "(You may not call any more tools. Answer now with what you know, and say what you could not find out.)"


class Asker(Protocol):
    """Puts calls to the person on whose behalf they would be made."""

    async def ask(self, tool: Tool, arguments: Mapping[str, Json], use: Use) -> tuple[int, str]:
        """Ask, once for each `use.key`; returns the approval's number and name."""


class Scene(NamedTuple):
    """One turn: what the model is given besides its own steps. `tainted`: some of it is from outside.

    `tools` are those it may have; `use` is on whose behalf, None where nothing may be called; `asker` None: nobody can agree.
    `doing` is told of each call that is about to be made, in words that are the tool's.
    """

    system: Callable[[bool], str]
    turns: Sequence[Turn]
    text: str
    tools: Sequence[Tool] = ()
    use: Use | None = None
    asker: Asker | None = None
    tainted: bool = False
    doing: Callable[[str], None] | None = None
    rounds: int = MAX_ROUNDS


@dataclass(slots=True, eq=False)
class Turned:
    """A turn as far as it came: what was said last, and every step."""

    said: str = ""
    steps: list[Step] = field(default_factory=list)
    broken: int = 0

    @property
    def outside(self) -> bool:
        """Whether anything from outside was read in it."""
        return any(step.outside for step in self.steps)


class Loop:
    """Runs turns on `model` within `bounds`. Holds no state between turns."""

    def __init__(self, model: Model, bounds: Bounds) -> None:
        self._model = model
        self._bounds = bounds

    async def run(
        self, scene: Scene, turned: Turned, model: str | None, tell: Callable[[str], None],
        keep: Callable[[int, Step], Awaitable[None]],
    ) -> None:  # fmt: skip
        """Let the model speak and call until it is done; `turned` holds what was said, also where this raises.

        `tell` is given what people see of it so far; `keep` makes a step durable, by its number. Raises the model's errors.
        """
        card = await self._model.card(model)
        num_ctx = fitting(self._bounds.window, card)
        room = min(num_ctx // TOOLS_SHARE, spare(scene.system(True), scene.text, num_ctx) - ROOM_FOR_RESULTS)
        able = scene.tools if scene.use is not None and card.tools and room > 0 else ()
        tools = {tool.spec.name: tool for tool in few(able, scene, room)}
        waiting = sum(call.asked is not None for step in turned.steps for call in step.calls)
        calls = _Calls(scene, turned, tools, tell, num_ctx, num_ctx, waiting)
        while called := await self._heard(calls, model):
            step = await calls.made(called)
            turned.steps.append(step)  # before the wait: what was done is not forgotten where that is broken off
            await keep(len(turned.steps) - 1, step)

    async def _heard(self, calls: _Calls, model: str | None) -> list[ToolCall]:
        """As `_listen`; where it does not fit into the window by the model's own count, with less of what was said before."""
        while True:
            try:
                return await self._listen(calls, model)
            except ModelOverfull:
                if calls.turned.said or not calls.leave_out():
                    raise

    async def _listen(self, calls: _Calls, model: str | None) -> list[ToolCall]:
        """What the model says goes to `turned.said`; returns what it calls."""
        turned, limit = calls.turned, self._bounds.characters
        messages, offered = calls.given()
        found: list[ToolCall] = []
        heard = Repetition()
        stream = self._model.chat(messages, model=model, num_ctx=calls.window, tools=offered)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, ToolCall):
                    found.append(piece)
                    if len(found) == MAX_CALLS:
                        break
                    continue
                if isinstance(piece, Unsaid):
                    turned.said, heard = "", Repetition()
                    continue
                turned.said = (turned.said + readable(piece))[:limit]
                if not (offered and seems_call(turned.said)):
                    calls.tell(turned.said)
                if len(turned.said) == limit:
                    raise ModelRambled(limit=limit)
                if heard.hears(piece):
                    raise ModelRepeats
        names = [tool.name for tool in offered]
        if not found and (written := calls_in(turned.said, names)):
            turned.said, found = "", written[:MAX_CALLS]
            log.debug(CALL, found[0].name, "written")
        return found if offered else []


@dataclass(slots=True, eq=False)
class _Calls:
    """The calls of one turn: what may be called, what was, and what it came to."""

    scene: Scene
    turned: Turned
    tools: Mapping[str, Tool]
    tell: Callable[[str], None]
    window: int
    room: int
    asked: int = 0
    barred: int = 0

    def given(self) -> tuple[list[ChatMessage], list[ToolSpec]]:
        """What the model is given next, and offered; once it has called enough, nothing."""
        turned, specs = self.turned, [tool.spec for tool in self.tools.values()]
        enough = len(turned.steps) >= self.scene.rounds or turned.broken >= MAX_BROKEN
        text = f"{self.scene.text}\n\n{_ENOUGH}" if enough else self.scene.text
        system = self.scene.system(bool(specs))
        messages = window(system, self.scene.turns, text, self.room, steps=turned.steps, tools=specs)
        return messages, [] if enough else specs

    def leave_out(self) -> bool:
        """Give the model less from now on; False: there is nothing more that can be left out."""
        most = len(self.given()[0])
        try:
            while len(self.given()[0]) >= most:
                self.room = self.room * 3 // 4
        except TooLongForModel:
            return False
        return True

    async def made(self, calls: Sequence[ToolCall]) -> Step:
        """Make the calls of one round, one after the other. What was done before it is broken off stays in `turned`."""
        said, self.turned.said = self.turned.said, ""
        done: list[Called] = []
        try:
            for call in calls:
                done.append(await self._called(call, said, done))
        except asyncio.CancelledError:
            begun = plain(calls[len(done)].name)[:_NAME]
            self.turned.steps.append(Step(said, (*done, Called(begun, {}, _BROKEN_OFF))))
            raise
        return Step(said, tuple(done))

    async def _called(self, call: ToolCall, said: str, done: Sequence[Called]) -> Called:
        """Judge a call and make it; what is wrong with it is its result."""
        try:
            tool, arguments = self._read(call)
        except BadCall as error:
            self.turned.broken += 1
            log.debug(CALL, plain(call.name)[:_NAME], "broken")
            return Called(plain(call.name)[:_NAME], {}, f"{_FAILED}{error}")
        name = tool.spec.name
        log.debug(CALL, name, "repaired" if (call.name, type(call.arguments)) != (name, dict) else "read")
        if (name, arguments) in self._known(done):
            at_once = any((one.name, one.arguments) == (name, arguments) for one in done)  # said twice in one breath
            self.turned.broken += not at_once
            return Called(name, arguments, _SAME if at_once else _AGAIN)
        doing = tool.words(arguments).partition("\n")[0][:_DOING].rstrip(":")
        self.tell("\n\n".join(filter(None, (said.strip(), f"… {doing}"))))
        if self.scene.doing is not None:
            self.scene.doing(doing)
        assert self.scene.use is not None  # noqa: S101 - tools are offered with it only
        use = self.scene.use._replace(key=f"{self.scene.use.key}/{len(self.turned.steps)}.{len(done)}")
        told = any(tool.spec.outside for tool in self.tools.values())
        tainted = self.scene.tainted or self.turned.outside or told
        if judge(tool, arguments, tainted=tainted, named=self._named()) is Way.ASK:
            return await self._asked(tool, arguments, use)
        return await self._made(tool, arguments, carried_out(tool, arguments, use))

    def _known(self, done: Sequence[Called]) -> list[tuple[str, Mapping[str, Json] | str]]:
        """The calls whose results still hold: those from the last one on that changed what the others look at."""
        made = [call for step in self.turned.steps for call in step.calls]
        own = [
            n
            for n, call in enumerate((*made, *done))
            if call.name in self.tools and self.tools[call.name].effect is Effect.OWN and not failed(call.result)
        ]
        return [(call.name, call.arguments) for call in (*made, *done)[own[-1] if own else 0 :]]

    def _read(self, call: ToolCall) -> tuple[Tool, Mapping[str, Json]]:
        name = name_of(call.name, self.tools)
        if name is None:
            there = ", ".join(self.tools)
            raise BadCall(tool=plain(call.name)[:_NAME], why=f"there is no such tool. There are: {there}.")
        return self.tools[name], self.tools[name].read(arguments_of(call._replace(name=name)))

    async def _asked(self, tool: Tool, arguments: Mapping[str, Json], use: Use) -> Called:
        """Put a call to the person; the model is told that, and not to wait."""
        name = tool.spec.name
        if self.scene.asker is None:
            return Called(name, arguments, _NOBODY)
        if self.asked >= MAX_ASKED:
            return Called(name, arguments, _WAITS_ENOUGH)
        if self.barred >= MAX_BARRED:
            return Called(name, arguments, _BARRED_ENOUGH)
        looked = await self._made(tool, arguments, _looked(tool, arguments, use))
        if failed(looked.result):
            self.barred += 1
            return looked
        self.asked += 1
        try:
            number, approval = await self.scene.asker.ask(tool, arguments, use._replace(seen=looked.result))
        except HubError as error:
            return Called(name, arguments, f"{_REFUSED}{error}")
        return Called(name, arguments, f"A person is asked to agree, as {approval}. It is not done yet.", asked=number)

    async def _made(self, tool: Tool, arguments: Mapping[str, Json], doing: Awaitable[Output]) -> Called:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                output = await doing
        except TimeoutError:
            return Called(
                tool.spec.name, arguments, f"{_FAILED}it was not done after {CALL_SECONDS:.0f} s and was stopped."
            )
        return Called(tool.spec.name, arguments, cut(output.text, self.window), output.outside, output.files)

    def _named(self) -> frozenset[str]:
        """The addresses that people wrote in this conversation, and that pages held which were read in this turn.

        No other result counts: a program that the model wrote, a tool that repeats what it was given, or an error about a call that
        was not made could hold anything that it read. Nor does a page, once anything but pages was looked at: which of its links
        are opened, one after the other, would spell it.
        """
        fetched = [
            call for step in self.turned.steps for call in step.calls if call.outside and not failed(call.result)
        ]
        pages = [call.result for call in fetched if self._outward(call.name)] if not self._looked() else []
        said = [turn.text for turn in self.scene.turns if turn.role == "user"]
        return frozenset[str]().union(*map(addresses, (self.scene.text, *said, *pages)))

    def _looked(self) -> bool:
        """Whether a call of this turn told the model what no page did."""
        calls = (call for step in self.turned.steps for call in step.calls if call.name in self.tools)
        return any(call.asked is None and not self.tools[call.name].outward for call in calls)

    def _outward(self, name: str) -> bool:
        return name in self.tools and bool(self.tools[name].outward)


def failed(result: str) -> bool:
    """Whether a result says that a call came to nothing."""
    return result.startswith(_FAILED)


def refused(result: str) -> bool:
    """Whether a result says that a call was neither made nor put to anybody."""
    return result.startswith(_REFUSED)


def repeats(result: str) -> bool:
    """Whether a result says that the call was made before, with another result."""
    return result in {_SAME, _AGAIN}


async def carried_out(tool: Tool, arguments: Mapping[str, Json], use: Use) -> Output:
    """Call a tool; a failure is an output too, and may name what somebody else wrote."""
    return await _tried(tool, tool.run(arguments, use))


async def _looked(tool: Tool, arguments: Mapping[str, Json], use: Use) -> Output:
    """What keeps a call from being done, as `carried_out` would say it; else what is kept with the question."""

    async def look() -> Output:
        return Output(await tool.look(arguments, use) or "", outside=False)

    return await _tried(tool, look())


async def _tried(tool: Tool, doing: Awaitable[Output]) -> Output:
    try:
        return await doing
    except HubError as error:
        return Output(f"{_FAILED}{error}")
    except Exception:
        log.exception("the tool %s failed", tool.spec.name)
        return Output(f"{_FAILED}it failed; the hub's log says more.", outside=False)


def few(tools: Sequence[Tool], scene: Scene, room: int) -> list[Tool]:
    """At most `MAX_OFFERED` of the tools, as they stand: those that the text calls for, and those that were called lately.

    Then those whose words are most in the text and in what was asked before it, a rare word more than one of many tools; then the
    first. They take `room` tokens of the window at most; one there is in any case.
    """
    needed = called_for(scene.text)
    lately = {call.name for turn in scene.turns[-LATELY:] for step in turn.steps for call in step.calls}
    before = next((turn.text for turn in reversed(scene.turns) if turn.role == "user"), "")
    said = (_words(scene.text) | _words(before)) - _COMMON
    words = [_words(f"{tool.spec.name} {tool.spec.description}") for tool in tools]
    weight = {word: 1 / sum(word in one for one in words) for word in said & frozenset[str]().union(*words)}

    def rank(n: int) -> tuple[bool, bool, float, int]:
        name = tools[n].spec.name
        return name not in needed, name not in lately, -sum(weight.get(word, 0) for word in words[n]), n

    ranked = sorted(range(len(tools)), key=rank)[:MAX_OFFERED]
    while len(ranked) > 1 and sum(price(tools[n].spec) for n in ranked) > room:
        ranked.pop()
    return [tools[n] for n in sorted(ranked)]


def cut(text: str, num_ctx: int) -> str:
    """A result that leaves room for others in a window of `num_ctx` tokens; what is left out is said."""
    most = num_ctx // RESULT_SHARE
    if tokens(text) <= most:
        return text
    kept = beginning(text, most)
    return f"{kept}\n[cut here: {len(text) - len(kept):,} of {len(text):,} characters are not shown; ask for a part]"


def _words(text: str) -> frozenset[str]:
    words = "".join(sign if sign.isalnum() else " " for sign in text.casefold()).split()
    return frozenset(word for word in words if len(word) >= _WORD)
