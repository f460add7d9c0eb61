"""Talking with a wallet over a Nostr relay (NIP-01, NIP-47): requests, their answers, and what the wallet tells by itself.

Each question has a connection of its own, as a relay may drop one without a word. An order has a life of its own too: relays keep
requests, and a wallet that comes back is not to pay what nobody waits for. What the relay says is not believed: only what the
wallet signed is an answer, and a relay that refuses a request may have passed it on. No error of this module carries the secret or
an address.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from adapters.lightning.answers import Answers
from adapters.lightning.nwc_keys import INFO, NOTIFICATIONS, RESPONSE, NotTheirs
from core.errors import cause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapters.lightning.nwc_keys import Announced, Letter, NwcKeys
    from core.ports import Clock

BACKEND = "nwc"
SAID = Answers(BACKEND, "a wallet that speaks NIP-47")
_LARGEST = 512 * 1024
"""Bytes of one message: relays of wallets take 64 KB and more."""

_CLOSING = aiohttp.ClientWSTimeout(ws_close=1)
"""Seconds for a goodbye."""

_LONGEST_WHY = 200
_ANSWER, _NEWS, _ABOUT = "answer", "news", "about"
"""Our names for what we listen to, of a connection."""


_SKEW = 600
"""Seconds by which the wallet's clock may be behind ours."""

_LATE = 60
"""Seconds that an order may be late, by the wallet's clock, after the hub has stopped waiting."""


class Answered(Exception):
    """The wallet's own error. `code` as NIP-47 lists them, and others that wallets made up."""

    def __init__(self, code: str, said: str) -> None:
        self.code = code
        super().__init__(f"{said} ({code})" if said else code)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a relay, for an answer; and how often to look where the wallet does not tell, or does."""

    connect: float = 10
    answer: float = 30
    look: float = 5
    told: float = 60


class Wire:
    """The relays of one connection, the first that answers."""

    def __init__(self, keys: NwcKeys, clock: Clock, patience: Patience) -> None:
        self._keys = keys
        self._clock = clock
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._about: Announced | None = None
        self._closed = False

    async def close(self) -> None:
        """Close every connection; none is opened any more."""
        self._closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def ask(self, method: str, params: Mapping[str, object], seconds: float | None = None) -> dict[str, Any]:
        """What the wallet answers. Raises `Answered`, and `NodeDown`, after which it may have done what was asked."""
        async with self.talk() as talk:
            return await talk.ask(method, params, seconds)

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[Talk]:
        """A connection, on which one at a time asks or listens. Raises `NodeDown`."""
        try:
            async with await self._connected() as socket:
                yield Talk(socket, self._keys, self._clock, self._patience.answer, self)
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise  # of whoever gave the time
            raise SAID.down(_why(error)) from None

    async def about(self, talk: Talk) -> Announced:
        """What the wallet says of itself, asked once. Raises `NodeDown`."""
        if self._about is None:
            self._about = await talk.about()
        return self._about

    def forget(self) -> None:
        """The wallet is not what it said that it was."""
        self._about = None

    async def _connected(self) -> aiohttp.ClientWebSocketResponse:
        if self._closed:
            raise SAID.down("the hub has let go of it")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None)
            )
        why = ""
        for relay in self._keys.relays:
            try:
                async with asyncio.timeout(self._patience.connect):
                    return await self._session.ws_connect(
                        relay, heartbeat=self._patience.answer, max_msg_size=_LARGEST, timeout=_CLOSING
                    )
            except (aiohttp.ClientError, OSError, ValueError) as error:
                why = _why(error)
        raise SAID.down(f"no relay takes a connection ({why})")


class Talk:
    """One connection to a relay."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, keys: NwcKeys, clock: Clock, answer: float, wire: Wire
    ) -> None:
        self._socket = socket
        self._keys = keys
        self._clock = clock
        self._answer = answer
        self._wire = wire
        self._news = False

    async def ask(self, method: str, params: Mapping[str, object], seconds: float | None = None) -> dict[str, Any]:
        """See `Wire.ask`. Raises `TimeoutError` where the caller gave the time, and it has passed."""
        try:
            async with asyncio.timeout(self._answer if seconds is None else seconds):
                about = await self._wire.about(self)
                now = self._clock.now() // 1000
                expires = None if seconds is None else now + round(seconds) + _LATE
                letter = self._keys.request(method, params, about.encryption, now, expires)
                return await self._exchange(method, letter)
        except TimeoutError:
            if seconds is not None:
                raise
            raise SAID.down("no answer from the wallet in time") from None

    async def _exchange(self, method: str, letter: Letter) -> dict[str, Any]:
        await self._say("REQ", _ANSWER, {"kinds": [RESPONSE], "authors": [self._keys.wallet], "#e": [letter.id]})
        await self._socket.send_str(f'["EVENT",{letter.text}]')
        while True:
            match await self._heard():
                case ["EVENT", str(name), event] if name == _ANSWER:
                    try:
                        said = self._keys.response(event, letter)
                    except NotTheirs:
                        continue
                    await self._say("CLOSE", _ANSWER)
                    return self._result(method, said)
                case ["OK", str(of), False, *why] if of == letter.id:
                    raise SAID.down(f"its relay did not take the request: {_reason(why)}")
                case ["CLOSED", str(name), *why] if name == _ANSWER:
                    raise SAID.down(f"its relay does not let the hub listen: {_reason(why)}")
                case _:
                    pass  # of another question, or nothing that we asked for

    def _result(self, method: str, said: str) -> dict[str, Any]:
        try:
            answer = json.loads(said)
        except (ValueError, RecursionError):
            raise SAID.odd() from None
        error = SAID.field(answer, "error", dict, {})
        if error:
            code = SAID.field(error, "code", str, "OTHER")
            if code == "UNSUPPORTED_ENCRYPTION":
                self._wire.forget()
            raise Answered(code[:40], _line(SAID.field(error, "message", str, "")))
        if SAID.field(answer, "result_type", str) != method:
            raise SAID.odd()
        return SAID.field(answer, "result", dict)

    async def about(self) -> Announced:
        """The newest that the wallet published of itself. Raises `NodeDown`."""
        await self._say("REQ", _ABOUT, {"kinds": [INFO], "authors": [self._keys.wallet], "limit": 1})
        while True:
            match await self._heard():
                case ["EVENT", str(name), event] if name == _ABOUT:
                    try:
                        found = self._keys.announced(event)
                    except NotTheirs:
                        continue
                    await self._say("CLOSE", _ABOUT)
                    return found
                case ["EOSE", str(name)] | ["CLOSED", str(name), *_] if name == _ABOUT:
                    raise SAID.down(
                        "the wallet has never been at its relay, or speaks no encryption that is known here"
                    )
                case _:
                    pass

    async def listen(self) -> bool:
        """Listen to what the wallet tells by itself; whether it does tell of what comes in. Raises `NodeDown`."""
        try:
            async with asyncio.timeout(self._answer):
                about = await self._wire.about(self)
        except TimeoutError:
            raise SAID.down("its relay does not answer") from None
        query = {
            "kinds": list(NOTIFICATIONS), "authors": [self._keys.wallet], "#p": [self._keys.ours],
            "since": self._clock.now() // 1000 - _SKEW,
        }  # fmt: skip
        await self._say("REQ", _NEWS, query)
        return about.notifies

    async def news(self, seconds: float) -> None:
        """Wait until the wallet tells of something, for so long. Raises `NodeDown` when the connection ends."""
        try:
            async with asyncio.timeout(seconds):
                while not self._news:
                    await self._heard()
        except TimeoutError:
            return
        self._news = False

    async def _say(self, *message: object) -> None:
        await self._socket.send_str(json.dumps(message))

    async def _heard(self) -> Any:
        """The next message. News that come while an answer is waited for are not lost."""
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise SAID.down("its relay ended the connection")
        try:
            heard = json.loads(message.data)
        except (ValueError, RecursionError):
            raise SAID.down("what answers at the relay's address is no relay") from None
        match heard:
            case ["EVENT", str(name), event] if name == _NEWS:
                self._news = self._news or self._keys.notifies(event)
            case ["CLOSED", str(name), *why] if name == _NEWS:
                raise SAID.down(f"its relay does not let the hub listen: {_reason(why)}")
            case _:
                pass
        return heard


def _line(said: str) -> str:
    """What somebody else says, as one line, cut."""
    return " ".join(said.split())[:_LONGEST_WHY].rstrip(".")


def _reason(words: list[Any]) -> str:
    """Why a relay refuses: the words behind its message."""
    return _line(" ".join(str(word) for word in words)) or "it does not say why"


def _why(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else cause(error)
