"""What all model servers have in common: which model, how long to wait for it, whether it can be asked.

With nothing listening the answer comes from a bare connect, at once; the client library is loaded only behind that.
"""

from __future__ import annotations

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self
from urllib.parse import urlsplit

from adapters.llm.reach import Reach
from adapters.llm.refusals import NoTools
from core.agent.model import Card, ModelGarbled, ModelMissing, ModelSilent, ToolCall, fitting, named
from core.errors import HubError, UserError
from core.networks import is_host_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from core.agent.model import ChatMessage, ModelUnreachable, NoModelInstalled, ToolSpec, Unsaid
    from core.ports import Clock

log = logging.getLogger(__name__)

CARD_MS = 60_000
"""How long it is believed what a model can do, ms."""


class BadModelAddress(UserError):
    """{given} is not the address of a model server. Set {setting} to http(s)://HOST:PORT, without a password."""


class Patience(NamedTuple):
    """How long to wait, in seconds: for a connection, the list of models, the first word (a model may load), the next.

    `check` bounds a whole check, which is asked for in auctions; `fresh` is how long its verdict is believed. A server that works
    may not answer a check in time, so that only `silence` of so long counts against it.
    """

    connect: float = 2
    listing: float = 10
    first: float = 300
    next: float = 60
    check: float = 1.5
    fresh: float = 5
    silence: float = 15


class Wire(Protocol):
    """A client of one kind of server, which knows nothing of patience. It raises the errors of `Model`, and no library's."""

    async def models(self) -> list[str]:
        """The names of all models that can chat, the first is the default."""

    async def card(self, model: str) -> Card:
        """What a model can do, as far as the server says."""

    def chat(
        self, messages: Sequence[ChatMessage], *, model: str, num_ctx: int, tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[str | ToolCall, None]:
        """The answer in pieces; an empty one is a sign of life. Raises `NoTools` too, before the first."""

    async def embedders(self) -> list[tuple[str, str]]:
        """All models for embeddings, the first is the one to use: name, and what tells it from another of its name, if anything."""

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """See `core.agent.vectors.Embedder`."""

    async def close(self) -> None:
        """Close every connection."""


def vectors(said: Sequence[Sequence[Any]], count: int, url: str) -> list[list[float]]:
    """What a server says are vectors of so many texts. Raises `ModelGarbled` where they are none, and as `float` does."""
    found = [[float(number) for number in vector] for vector in said]
    alike = len(found) == count and len({len(vector) for vector in found}) == 1
    if not alike or not all(any(vector) and all(map(math.isfinite, vector)) for vector in found):
        raise ModelGarbled(url=url, why="vectors that are none")
    return found


class ModelServer(ABC):
    """The models of the server at `url`; `model` is the hub's own, None for the first that it has."""

    setting: ClassVar[str]
    unreachable: ClassVar[type[ModelUnreachable]]
    nothing: ClassVar[type[NoModelInstalled]]
    missing: ClassVar[type[ModelMissing]]

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        clock: Clock,
        patience: Patience | None = None,
        reach: Reach | None = None,
    ) -> None:
        self.url, self._host, self._port = _address(url, self.setting)
        self._own = model or None
        self._clock = clock
        self._patience = patience or Patience()
        self._reach = reach or Reach()
        self._wire: Wire | None = None
        self._said_default: str | None = None
        self._first: tuple[int, str] | None = None
        self._checking = asyncio.Lock()
        self._verdict: tuple[int, str | None] | None = None
        self._silent_since: int | None = None
        self._cards: dict[str, tuple[int, Card]] = {}
        self._without_tools: set[str] = set()
        self._thinking: set[str] = set()

    @abstractmethod
    def _load(self) -> Wire:
        """Import the client, in a thread, and make it."""

    def _here(self, model: str) -> bool:
        """Whether a listed model runs on that server."""
        return bool(model)

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open."""
        if self._wire is not None:
            await self._wire.close()

    async def embedder(self) -> str | None:
        """See `core.agent.vectors.Embedder`."""
        wire = await self._connected()
        async with asyncio.timeout(self._patience.listing):
            found = next((one for one in await wire.embedders() if self._here(one[0])), None)
        return found and "@".join(filter(None, found))

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """See `core.agent.vectors.Embedder`."""
        wire = await self._connected()
        return await wire.embed(model.partition("@")[0], texts)

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str | None, num_ctx: int, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[str | ToolCall | Unsaid, None]:
        """See `Model`. A model that takes no tools is asked without them."""
        wire = await self._connected()
        name = model or await self.default()
        window = fitting(num_ctx, await self.card(name))
        offered = () if name in self._without_tools else tools
        try:
            async with aclosing(
                self._patiently(wire.chat(messages, model=name, num_ctx=window, tools=offered), name, messages)
            ) as pieces:
                async for piece in pieces:
                    yield piece
        except ModelMissing:
            self._first = None  # it may have been that one
            raise
        except NoTools:
            log.info("%s at %s takes no tools: it is asked without them", name, self.url)
            self._without_tools.add(name)
            self._cards.pop(name, None)
        else:
            return
        async with aclosing(
            self._patiently(wire.chat(messages, model=name, num_ctx=window, tools=()), name, messages)
        ) as pieces:
            async for piece in pieces:
                yield piece

    async def _patiently(
        self, pieces: AsyncGenerator[str | ToolCall, None], model: str, messages: Sequence[ChatMessage]
    ) -> AsyncGenerator[str | ToolCall | Unsaid, None]:
        """What is said, without thoughts and signs of life, unless they stay away."""
        from core.agent.reasoning import Reasoning, about_thoughts  # noqa: PLC0415 - for the first answer

        limit = self._patience.first
        reasoning = Reasoning(begun=model in self._thinking, named=about_thoughts(messages))
        async with aclosing(pieces):
            while True:
                try:
                    async with asyncio.timeout(limit):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise ModelSilent(seconds=round(limit)) from None
                limit = self._patience.next
                if isinstance(piece, ToolCall):
                    for known in reasoning.calls():
                        yield known
                    yield piece
                elif piece:
                    for known in reasoning.hears(piece):
                        yield known
        for known in reasoning.over():
            yield known
        (self._thinking.add if reasoning.begun else self._thinking.discard)(model)

    async def models(self) -> list[str]:
        """See `Model`. Those that run there; another only if it is the configured one."""
        return [name for name in await self._listed() if self._here(name) or name == self._own]

    async def default(self) -> str:
        """See `Model`."""
        if self._own is not None:
            return self._own
        if self._first is not None and self._clock.now() < self._first[0]:
            return self._first[1]
        return await self._seen_first()

    async def _seen_first(self) -> str:
        """The first of the models that there are; believed until two looks later, so that no question waits for a list."""
        self._first = None
        first = next(iter(await self.models()), None)
        if first is None:
            raise self.nothing(url=self.url)
        if first != self._said_default:
            setting = self.setting.removesuffix("_URL")
            log.info("%s_MODEL is not set: using %s, the first at %s", setting, first, self.url)
            self._said_default = first
        self._first = self._clock.now() + round(2000 * self._patience.fresh), first
        return first

    async def card(self, model: str | None) -> Card:
        """See `Model`. What was seen is believed for a while, and what could not be seen is asked for again."""
        with suppress(HubError, TimeoutError):
            wire = await self._connected()
            async with asyncio.timeout(self._patience.check):
                name = model or await self.default()
                now = self._clock.now()
                if (seen := self._cards.get(name)) is None or now - seen[0] >= CARD_MS:
                    seen = self._cards[name] = now, await wire.card(name)
                card = seen[1]
                return card._replace(tools=False) if name in self._without_tools else card
        return Card()

    async def check(self) -> str | None:
        """See `Model`. Those who ask at the same time share one look; while a later one is under way, the last one counts."""
        if self._verdict is not None and self._checking.locked():
            return self._verdict[1]
        async with self._checking:
            if self._verdict is None or self._clock.now() >= self._verdict[0]:
                return await self._judge(self._patience.fresh)
            return self._verdict[1]

    def _forget(self) -> None:
        """There is a model more, or another of the same name."""
        self._verdict = self._first = None
        for known in (self._cards, self._without_tools, self._thinking):
            known.clear()

    async def watch(self) -> None:
        """Look before each verdict goes stale, for ever, so that no command waits for a server that does not answer."""
        while True:
            async with self._checking:
                await self._judge(2 * self._patience.fresh)
            await self._clock.sleep(self._patience.fresh)

    async def _judge(self, seconds: float) -> str | None:
        why = await self._look()
        self._verdict = (self._clock.now() + round(seconds * 1000), why)
        return why

    async def _look(self) -> str | None:
        try:
            await self._connected()  # loading the client's library is not the server's slowness
            async with asyncio.timeout(self._patience.check):
                own = self._own or await self._seen_first()
                known = self._own is None or named(own, await self.models())
        except TimeoutError:
            return self._silent()
        except HubError as error:
            self._silent_since = None
            return str(error)
        self._silent_since = None
        return None if known else str(self.missing(model=own, url=self.url))

    def _silent(self) -> str | None:
        """What a check says that was not answered in time."""
        now = self._clock.now()
        if self._silent_since is None:
            self._silent_since = now
        seconds = (now - self._silent_since) / 1000
        return None if seconds < self._patience.silence else str(ModelSilent(seconds=round(seconds)))

    async def _listed(self) -> list[str]:
        wire = await self._connected()
        try:
            async with asyncio.timeout(self._patience.listing):
                return await wire.models()
        except TimeoutError:
            raise ModelSilent(seconds=round(self._patience.listing)) from None

    async def _connected(self) -> Wire:
        if self._wire is None:
            await self._knock()
            wire = await asyncio.to_thread(self._load)
            if self._wire is None:  # nobody was faster
                self._wire = wire
        return self._wire

    async def _knock(self) -> None:
        """Raise `ModelUnreachable` unless somebody takes a connection, and `ModelElsewhere` where that would be elsewhere."""
        try:
            async with asyncio.timeout(self._patience.connect):
                await self._dial(await self._reach.addresses(self._host, self._port))
        except (OSError, ValueError):  # TimeoutError is one
            raise self.unreachable(url=self.url) from None

    async def _dial(self, addresses: Sequence[str]) -> None:
        for address in addresses:
            try:
                _, writer = await asyncio.open_connection(address, self._port)
            except OSError:
                if address == addresses[-1]:
                    raise
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return


def _address(url: str, setting: str) -> tuple[str, str, int]:
    """A server's address as it is shown and used: (URL with its port, host, port). Raises `BadModelAddress`."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        usual = {"http": 80, "https": 443}[parts.scheme]
        port = parts.port or usual
    except (KeyError, ValueError):
        raise BadModelAddress(given=repr(url[:80]), setting=setting) from None
    usable = bool(host) and (":" in host or is_host_name(host))
    if not usable or parts.query or parts.fragment:
        raise BadModelAddress(given=repr(url[:80]), setting=setting)
    if parts.username or parts.password:
        raise BadModelAddress(given="an address with a name or password in it", setting=setting)
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port}{parts.path.rstrip('/')}", host, port
