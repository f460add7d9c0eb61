"""What the agent's model may do only when its person agrees: the question, the doing, and how the agent goes on after it.

Asked is for exactly one call with its arguments, of the person on whose behalf it would be made. Agreed to, it is done once,
and the conversation goes on with its result by a message of the hub's own (`/continue A-3`), which is stored like any other.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from bot.approvals import TOOL, ApprovalTx, Came
from core.agent.loop import carried_out, failed
from core.agent.session import Called
from core.agent.tool import BadCall, Output, Use
from core.approval import State, UnknownApproval, approval_name, digest_of
from core.chat import Inbound, Reply, Role, one_line, spelt
from core.errors import Refused, UserError
from core.store import patiently
from core.swarm.ports import ResultFile
from core.tokens import NotAsYouWere, home_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from bot.approvals import Approvals
    from core.agent.tool import Tool, Toolbox
    from core.approval import Approval
    from core.chat import Caller
    from core.events import Json
    from core.ports import Clock
    from core.store import Store
    from core.tokens import Identities

ASK_SECONDS = 3600.0
"""How long the person has to agree."""

MAX_WAITING = 5
"""Calls that may wait for one person: who is asked more than that reads none of it."""

MAX_LINE = 200
"""Characters of each where they are listed."""

MAX_SHOWN = 2500
"""Characters of a call that are put to a person: what they agree to they have seen, all of it."""

FOREIGN = "__"
"""What stands in the name of a tool of an MCP server, behind the server's."""

SERVERS_MS = 20_000
"""How long after the hub's start its servers may still be starting."""

_BROKEN_OFF = (
    "Error: the hub was stopped while it was done, so that it may be done or not. Look, before you call it again."
)


MAX_BLANK = 12
"""Lines on end of it with nothing to see in them: more push the rest out of sight."""


_WIDE = re.compile(r"[^\S\n]{40}")
"""So many blanks are as good as an empty line on a telephone."""


class WaitsEnough(Refused):
    """{count} calls wait for this person already. Nothing was asked."""


class TooLongToShow(UserError):
    """It is longer than the {limit} characters that a person is shown before they agree. Do it in smaller parts."""


class NotAllToSee(UserError):
    """Whoever agrees to it would not see all of it: {why}. Write it without that, or do it in smaller parts."""


class NobodyToAsk(Refused):
    """It waits for a person to agree, and this one cannot be asked here."""


class ToolGone(UserError):
    """The agent has no tool {name} any more. Nothing was done."""


class NothingToGoOn(UserError):
    """{name} is no call of the agent's that was agreed to here. /tools says what the agent may do."""

    status = 404


class Agreed(NamedTuple):
    """What was agreed to and done: the approval's name, and the call with its result."""

    name: str
    done: Called


class ToolTx(ApprovalTx, Protocol):
    """A unit of work over approvals and what came of them."""


class Tooling:
    """Asks, carries out, and remembers what came of it."""

    def __init__(
        self, store: Store[ToolTx], clock: Clock, approvals: Approvals, identities: Identities, toolbox: Toolbox
    ) -> None:
        self._store = store
        self._clock = clock
        self._approvals = approvals
        self._identities = identities
        self._toolbox = toolbox
        self._since = clock.now()

    async def ask(self, tool: Tool, arguments: Mapping[str, Json], use: Use) -> tuple[int, str]:
        """See `core.agent.loop.Asker`. The same call that waits already is not put again. Raises this module's errors.

        Its name is not enough of a key: begun again after a crash, a model may call another in its place.
        """
        caller = use.caller
        person = caller.proxy.person if caller.proxy is not None else caller.actor
        words = spelt(tool.words(arguments))
        if home_of(person) is None or caller.bought is not None:
            raise NobodyToAsk
        if len(words) > MAX_SHOWN:
            raise TooLongToShow(limit=f"{MAX_SHOWN:,}")
        if not _all_seen(tool, arguments, words):
            raise NotAllToSee(why="what is put to people leaves a part of its arguments out")
        if _blank(words) > MAX_BLANK:
            raise NotAllToSee(why=f"it has more than {MAX_BLANK} empty lines on end")
        action = json.dumps(
            {"tool": tool.spec.name, "arguments": arguments, "actor": caller.actor, "as": caller.acting_for, "of": caller.name,
             "private": caller.private, "where": use.conversation, "seen": use.seen}, ensure_ascii=False, sort_keys=True,
        )  # fmt: skip

        def waiting(tx: ToolTx) -> list[Approval]:
            return [
                one
                for one in tx.approvals.pending()
                if (one.kind, one.state) == (TOOL, State.OPEN) and one.action != action and person in one.approvers
            ]

        if len(open_ := await self._store.read(waiting)) >= MAX_WAITING:
            await self._remind(person, open_, use.key.rpartition("/")[0])
            raise WaitsEnough(count=len(open_))
        asked = await self._approvals.ask(
            TOOL, action, f"The agent wants to {words}", asked_by=caller.recorded, where=use.conversation, approvers=(person,),
            seconds=ASK_SECONDS, key=f"{use.key}/ask/{digest_of(TOOL, action)[:16]}", needs=Role.MEMBER, once=True,
        )  # fmt: skip
        return asked.id, asked.name

    async def _remind(self, person: str, open_: Sequence[Approval], turn: str) -> None:
        """Tell a person what waits for them, once in a turn: what they are not asked now they see nothing of otherwise."""
        lines = [f"/approve {one.name} or /deny {one.name}: {_first_line(one.words)[:MAX_LINE]}" for one in open_]
        words = f"The agent wants more, and you are not asked while {len(open_)} of its calls wait for you:"
        data: dict[str, Json] = {"ok": True, "waiting": [one.name for one in open_], "turn": turn}
        await self._approvals.tell(person, Reply("\n".join([words, *lines]), data), f"{turn}/waiting")

    async def carry(self, say: Callable[[Inbound], Awaitable[None]], approval: Approval) -> Came:
        """Do what was agreed to, and have the agent go on; `say` takes a message as of a surface. Twice, it is done once."""
        asked = json.loads(approval.action)
        caller = await self._caller(asked)
        tool = await self._found(asked["tool"])
        output = await self._output(approval, tool, asked, caller)
        if (goes_on := _goes_on(approval, asked)) is not None:
            await say(goes_on)
        first = _first_line(asked["tool"] if tool is None else tool.words(asked["arguments"]))
        if failed(output.text):
            return Came(f"{first}: {one_line(output.text)[:300]}", "tool_failed")
        return Came(f"done: {first}")

    async def goes_on(self, approval: Approval) -> str:
        """The key of the message by which the agent goes on after what was agreed to; empty where it does not."""
        tried = await self._store.read(lambda tx: tx.applied(_key(approval.id)))
        message = None if tried is None else _goes_on(approval, json.loads(approval.action))
        return "" if message is None else message.key

    async def agreed(self, caller: Caller, conversation: str, number: int) -> Agreed:
        """What came of a call that was agreed to, for whoever asked for it there. Raises `NothingToGoOn`, `UnknownApproval`."""
        key = _key(number)
        found, result = await self._store.read(lambda tx: (tx.approvals.find(number), tx.applied(key)))
        if found is None:
            raise UnknownApproval(name=approval_name(number))
        asked = json.loads(found.action) if found.kind == TOOL else {}
        if result is None or asked.get("where") != conversation or asked.get("of") != caller.name:
            raise NothingToGoOn(name=approval_name(number))
        output = _read(result)
        return Agreed(found.name, Called(asked["tool"], asked["arguments"], output.text, output.outside, output.files))

    async def _caller(self, asked: Mapping[str, Any]) -> Caller:
        """On whose behalf it is done: whoever it was asked for, with the rights they have now."""
        caller = await self._identities.caller(asked["actor"], private=asked["private"], acting_for=asked["as"])
        if caller.role is Role.GUEST or caller.name != asked["of"]:
            raise NotAsYouWere
        return caller

    async def _found(self, name: str) -> Tool | None:
        """A tool; one of a foreign server is waited for a little after the hub's start, since its server starts beside it."""
        while (tool := self._toolbox.find(name)) is None and FOREIGN in name:
            if self._clock.now() - self._since >= SERVERS_MS:
                break
            await self._clock.sleep(0.5)
        return tool

    async def _output(self, approval: Approval, tool: Tool | None, asked: Mapping[str, Any], caller: Caller) -> Output:
        key = _key(approval.id)
        known = await self._store.read(lambda tx: tx.applied(key))
        if known is not None:  # before a crash
            return _read(known)
        again = await self._begun(key)
        if again and (tool is None or tool.spec.outside):
            output = Output(_BROKEN_OFF, outside=False)
        elif tool is None:
            raise ToolGone(name=asked["tool"])
        else:
            output = await self._made(tool, asked, Use(caller, asked["where"], key, again, asked.get("seen", "")))
        kept = json.dumps([output.text, output.outside, [(one.name, one.sha256, one.size) for one in output.files]])
        await patiently(self._store, lambda tx: tx.mark(key, kept), self._clock)
        return output

    async def _made(self, tool: Tool, asked: Mapping[str, Any], use: Use) -> Output:
        try:
            arguments = tool.read(asked["arguments"])
        except BadCall as error:
            return Output(f"Error: {error}", outside=False)
        return await carried_out(tool, arguments, use)

    async def _begun(self, key: str) -> int:
        """Note that a call is begun, and say when it was before, 0 if never: a tool of ours is called again, and told that.

        Another's may do it twice, which is worse than not at all.
        """

        def note(tx: ToolTx) -> int:
            known = tx.applied(f"{key}/begun")
            if known is None:
                tx.mark(f"{key}/begun", str(tx.now))
            return 0 if known is None else int(known or 1)

        return await patiently(self._store, note, self._clock)


def _first_line(words: str) -> str:
    return one_line(words.splitlines()[0]).rstrip(":")


def _goes_on(approval: Approval, asked: Mapping[str, Any]) -> Inbound | None:
    """The message by which the agent goes on; a device is answered once, and hears no more."""
    home, where = home_of(asked["actor"]), asked["where"]
    if home is None:
        return None
    return Inbound(
        where.partition(":")[0], TOOL, approval.name, where, asked["actor"], f"/continue {approval.name}",
        private=asked["private"], acting_for=asked["as"], home=home,
    )  # fmt: skip


def _all_seen(tool: Tool, arguments: Mapping[str, Json], words: str) -> bool:
    """Whether every text among the arguments stands in the words, but what a tool has a choice of, and names in its own way."""
    fields = cast("Mapping[str, Mapping[str, Json]]", tool.spec.parameters.get("properties", {}))
    free = [value for name, value in arguments.items() if not {"enum", "const"} & fields.get(name, {}).keys()]
    lines = [line for text in _texts(free) for line in text.splitlines()]
    return all(spelt(line) in words or spelt(json.dumps(line, ensure_ascii=False)[1:-1]) in words for line in lines)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _blank(words: str) -> int:
    """The most lines on end in which there is nothing to see."""
    lines = _WIDE.sub("\n", words).split("\n")
    runs = groupby(line.strip(" \t+-") == "" for line in lines)
    return max((sum(1 for _ in lines) for empty, lines in runs if empty), default=0)


def _key(number: int) -> str:
    return f"approval/{number}/{TOOL}"


def _read(kept: str) -> Output:
    text, outside, files = json.loads(kept)
    return Output(text, outside, tuple(ResultFile(*file) for file in files))
