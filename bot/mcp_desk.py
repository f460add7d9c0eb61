"""Where the hub serves `timmy mcp`: calls over the owner's socket, each by the right of its token.

Whoever reaches that socket owns the data folder; but what asks here is a model in somebody's MCP client. So a client with a
token is a device of the person it was minted for (ADR 0012's rule: it reads what they read in a chat, posts tasks within its
limit, and asks them for all else that binds), and one without sees what the status page shows to everybody: states and
sums, no texts and no people. What writes is a message like any other, stored and dispatched; sent again under the same name
it acts once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from bot import views
from bot.mcp_tools import Listed, OfTask, number, offer, prose_of
from bot.registry import BadStatus, registry
from core.access import Action, authorize
from core.agent.prompt import plain
from core.chat import Caller, Inbound, Role, Undeliverable
from core.errors import Refused, Unavailable, UserError
from core.messages import MessageTx
from core.swarm.task import Status, is_person
from core.tokens import CONSOLE_OWNER, MCP, BadToken, TokenKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from bot.hub import Hub
    from bot.mcp_tools import Order
    from core.chat import Attachment, Outgoing, Reply
    from core.events import Json
    from core.ports import IdSource
    from core.store import Store
    from core.swarm.task import Task
    from core.tokens import TokenRow

Frame = dict[str, Any]

WAIT_MS = 20_000
"""How long an answer is waited for: a command takes milliseconds."""

MAX_WAITING = 50
"""Calls that are waited for at a time."""

LONGEST = 16_000
"""Characters of a text that somebody else wrote, at most."""

SHORT = 300
"""The same in a list."""

_WORDS = frozenset({"description", "result", "why"})


class NeedsToken(Refused):
    """{tool} writes, and this client has no token. Mint one: timmy token mcp NAME --for ACTOR, and set TIMMY_MCP_TOKEN_FILE."""


class ClientOfNobody(Refused):
    """This token speaks for nobody here any more: whoever it was minted for is not let in."""


class OptionsInText(UserError):
    """That text would be read as options of /{command}. Leave out what looks like one (a word with =), or set it by its field."""


class NameReused(UserError):
    """The request_id {name} came with another request before. Use a new one for each new request."""

    status = 409


class StillAtIt(Unavailable):
    """The hub is still at it. Ask again with the same request_id; it acts once."""


class TooManyCalls(Unavailable):
    """{limit} calls of MCP clients wait for their answers already. Ask again in a moment."""


class AnswerStore(Protocol):
    """What MCP clients were answered, inside one unit of work."""

    def answer(self, cause: str) -> Outgoing | None:
        """The answer to the message with the key `cause`; None until there is one."""


class DeskTx(MessageTx, Protocol):
    """A unit of work over those answers."""

    @property
    def mcp(self) -> AnswerStore:
        """What was answered."""


class Desk:
    """See the module; also the surface (`core.chat.ChatAdapter`) by which the answers of what writes come back."""

    name = "mcp"
    heard_at = None
    advice = ()

    def __init__(
        self, hub: Hub, store: Store[DeskTx], receive: Callable[[Inbound], Awaitable[None]], ids: IdSource
    ) -> None:
        self._hub = hub
        self._store = store
        self._receive = receive
        self._ids = ids
        self._asked: dict[str, list[asyncio.Event]] = {}

    async def hello(self, frame: Mapping[str, Any]) -> Frame:
        """Who a client is here."""
        row, caller = await self._who(frame.get("token"))
        return {"text": "", "data": _about(row, caller)}

    async def call(self, frame: Mapping[str, Any]) -> Frame:
        """Call a tool."""
        row, caller = await self._who(frame.get("token"))
        tool = offer(str(frame.get("tool")))
        asked = tool.read(frame.get("arguments") or {})
        if tool.writes:
            if row is None:
                raise NeedsToken(tool=tool.name)
            reply = await self._said(row, caller, asked)  # type: ignore[arg-type] # what writes takes an Order
            return {"text": plain(reply.text)[:LONGEST], "data": _marked(reply.data)}
        authorize(caller, Action.LOOK)
        data = await self._looked(tool.name, asked, row, caller)
        return {"text": json.dumps(data, ensure_ascii=False), "data": data}

    async def _who(self, token: object) -> tuple[TokenRow | None, Caller]:
        """Whose client it is. Raises `BadToken` and `ClientOfNobody`."""
        if token is None:
            return None, await self._hub.identities.caller(CONSOLE_OWNER, private=True)
        row = await self._hub.identities.check(str(token))
        if row is None or row.kind != TokenKind.MCP:
            raise BadToken
        caller = await self._hub.identities.caller(f"{MCP}{row.name}", private=True, credential=row.hash)
        if caller.role is Role.GUEST:
            raise ClientOfNobody
        return row, caller

    # What reads ------------------------------------------------------------------------------------------------

    async def _looked(self, tool: str, asked: object, row: TokenRow | None, caller: Caller) -> dict[str, Json]:
        known = row is not None
        if isinstance(asked, Listed):
            return await self._listed(asked, known=known)
        if isinstance(asked, OfTask):
            if tool == "list_bids":
                return await self._bids(number(asked.task), caller if known else Caller(MCP, Role.GUEST), known=known)
            return {"ok": True, **_task(await self._hub.coordinator.show(number(asked.task)), LONGEST, known=known)}
        if tool == "list_agents":
            seats = [views.agent_data(seat) for seat in await self._hub.coordinator.seats()]
            return {"ok": True, "agents": [_seat(seat, known=known) for seat in seats]}
        data = await self._hub.health.data()
        shown = dict(data) if known else _public(data)
        return {**shown, "you": _about(row, caller)}

    async def _bids(self, task: int, caller: Caller, *, known: bool) -> dict[str, Json]:
        found, answers = await self._hub.coordinator.answers(task)
        bids: Any = views.bids(found, answers, caller).data["bids"]
        rows: list[Json] = [{**bid, "agent": _named(bid["agent"], known=known)} for bid in bids]
        return {"ok": True, "task": found.name, "bids": rows}

    async def _listed(self, asked: Listed, *, known: bool) -> dict[str, Json]:
        if asked.status is not None and asked.status.lower() not in set(Status):
            raise BadStatus(given=repr(asked.status[:40]), known=", ".join(Status))
        status = Status(asked.status.lower()) if asked.status else None
        start = number(asked.before) if asked.before else None
        found, count = await self._hub.coordinator.tasks(status, start, asked.limit + 1)
        data: dict[str, Json] = {"ok": True, "tasks": [_task(one, SHORT, known=known) for one in found[: asked.limit]]}
        data["total"] = count
        if len(found) > asked.limit:
            data["next"] = found[asked.limit].name
        return data

    # What writes -----------------------------------------------------------------------------------------------

    async def _said(self, row: TokenRow, caller: Caller, order: Order) -> Reply:
        """Say a command as the client's device, and wait for its answer."""
        line, given = order.line(), order.request_id
        digest = hashlib.sha256(line.encode()).hexdigest()
        update = given or self._ids.token(12)
        actor = caller.actor
        message = Inbound(self.name, row.hash, update, f"{actor}/{row.hash[:12]}", actor, line)
        self._exactly(message, caller, order)
        if len(self._asked) >= MAX_WAITING:
            raise TooManyCalls(limit=MAX_WAITING)

        def note(tx: DeskTx) -> str:
            key = f"{message.key}/request"
            known = tx.applied(key)
            if known is None:
                tx.mark(key, digest)
            return known or digest

        if given is not None and await self._store.write(note) != digest:
            raise NameReused(name=given)
        with self._waits_for(message.key) as told:
            await self._receive(message)  # does nothing if it was received before
            answer = await self._answer(message.key)
            if answer is None:
                await self._hub.clock.until(self._hub.clock.now() + WAIT_MS, told)
                answer = await self._answer(message.key)
        if answer is None:
            raise StillAtIt
        return answer.reply

    @contextmanager
    def _waits_for(self, cause: str) -> Iterator[asyncio.Event]:
        told = asyncio.Event()
        waiting = self._asked.setdefault(cause, [])
        waiting.append(told)
        try:
            yield told
        finally:
            waiting.remove(told)
            if not waiting:
                self._asked.pop(cause, None)

    def _exactly(self, message: Inbound, caller: Caller, order: Order) -> None:
        """Refuse an order whose words the command would read as options: they were not given as such."""
        command = registry.route(message)
        read = registry.call(command, message, caller).args
        prose = [str(read[one.name]) for one in command.arguments if one.prose and one.name in read]
        keyed = {one.name for one in command.arguments if one.keyed and one.name in read}
        options = ("max_sats", "max"), ("deadline", "by"), ("to", "to"), ("model", "model"), ("eta", "eta")
        said = {key: getattr(order, name, None) for name, key in options}
        if "".join(prose) != prose_of(order) or keyed != {key for key, value in said.items() if value is not None}:
            raise OptionsInText(command=command.name)

    async def _answer(self, cause: str) -> Outgoing | None:
        return await self._store.read(lambda tx: tx.mcp.answer(cause))

    # The surface -----------------------------------------------------------------------------------------------

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """See `ChatAdapter`: what clients ask comes by the owner's socket."""

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`: an answer is kept, for whoever waits for it, or asks again."""
        if message.cause is None:
            raise Undeliverable(surface=self.name, why="a client asks, and is told nothing else")
        for told in self._asked.get(message.cause, ()):
            told.set()
        return (f"mcp-{message.id}",)

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """See `ChatAdapter`: a client is shown nothing until it is answered."""

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`: nothing comes with a call."""
        raise Undeliverable(surface=self.name, why=f"{attachment.name} cannot come with a call")


def _about(row: TokenRow | None, caller: Caller) -> dict[str, Json]:
    """Who a client is here, and what it may do."""
    if row is None:
        return {"token": False, "reads": "states and sums; no texts, no people"}
    return {
        "token": True, "name": row.name, "acts_for": row.for_actor, "role": caller.role.value,
        "task_limit_sats": row.task_limit,
    }  # fmt: skip


def _named(agent: str, *, known: bool) -> str:
    return agent if known or not is_person(agent) else "a person"


def _task(task: Task, longest: int, *, known: bool) -> dict[str, Json]:
    data = dict(views.task_data(task))
    del data["ok"]
    if task.agent is not None:
        data["winner"] = _named(task.agent, known=known)
    if not known:
        return {key: value for key, value in data.items() if key not in _WORDS}
    return _marked({**data, "description": task.description}, longest)


def _marked(data: Mapping[str, Json], longest: int = LONGEST) -> dict[str, Json]:
    """The facts, and apart from them what somebody else wrote."""
    words: dict[str, Json] = {
        key: _cut(plain(value), longest) for key, value in data.items() if key in _WORDS and isinstance(value, str)
    }
    facts = {key: value for key, value in data.items() if key not in _WORDS}
    return {**facts, "untrusted": words} if words else facts


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} … (cut; {len(text):,} characters in all)"


def _seat(seat: dict[str, Json], *, known: bool) -> dict[str, Json]:
    return seat if known else {key: value for key, value in seat.items() if key != "why"}


def _public(data: Mapping[str, Any]) -> dict[str, Json]:
    """How the hub is, as anybody may know."""
    return {
        "ok": data["ok"], "ready": data["ready"], "uptime_s": data["uptime_s"], "tasks": data["tasks"],
        "parts": {name: {"up": part["up"]} for name, part in data["parts"].items()}, "model": {"up": data["model"]["up"]},
    }  # fmt: skip
