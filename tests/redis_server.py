"""A small Redis on loopback, for what the hub and its gateways say to one: strict about every command, and unwell when told to be.

Written from the command reference of Redis 7: arguments, replies and errors are those that it documents. Whatever it does not know
it refuses, so that a test goes red where the code begins to say something else.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GROWS = frozenset({"XADD", "RPUSH", "SADD", "SET", "XGROUP"})
"""Commands that a full Redis refuses (`denyoom` in its command table)."""

WRITES = GROWS | {"XACK", "XDEL", "DEL", "EXPIRE", "XREADGROUP"}
"""Commands that a replica refuses."""


class Wrong(Exception):
    """An error reply."""


class Simple(str):
    """A simple string, such as OK."""

    __slots__ = ()


@dataclass
class Group:
    """A consumer group: what it read last, and what is pending."""

    last: tuple[int, int] = (0, 0)
    pending: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)


@dataclass
class Stream:
    """Entries by id."""

    entries: OrderedDict[tuple[int, int], list[bytes]] = field(default_factory=OrderedDict)
    last: tuple[int, int] = (0, 0)
    groups: dict[bytes, Group] = field(default_factory=dict)

    def after(self, last: tuple[int, int], count: int) -> list[tuple[tuple[int, int], list[bytes]]]:
        return list(itertools.islice(((one, kept) for one, kept in self.entries.items() if one > last), count))


@dataclass
class _Talk:
    """A connection: whether it said the password, and what it wants done at once."""

    known: bool
    queued: list[list[bytes]] | None = None


class RedisServer:
    """`password`: what it asks for. `ails`: `full`, `replica`, `unsaved`, `old`, `taken`, `limited`, `mute` or nothing."""

    def __init__(self, password: str = "") -> None:
        self.password = password
        self.ails = ""
        self.port = 0
        self.kept: dict[bytes, Any] = {}
        self.facts = {"redis_version": "7.0.15", "role": "master", "maxmemory": "0", "maxmemory_policy": "noeviction"}
        """What it says of itself."""
        self.spoil: Callable[[list[bytes]], object] | None = None
        """What is done to a list that was written."""
        self.breaks: Callable[[], str] = str
        """Where the connection breaks at a command: `before` it is done, or `after`, its reply lost; or nowhere."""
        self.said: list[str] = []
        """The commands that came, by name."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._idle = asyncio.Event()
        self._ends = False
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        """Its address, with the right password."""
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, password: str = "") -> AsyncIterator[Self]:
        """A server until the block ends."""
        server = cls(password)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    async def start(self) -> None:
        """Listen, where it did before."""
        self._ends = False
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**25)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, *, forget: bool = False) -> None:
        """Break every connection, and listen no more."""
        if self._server is not None:
            self._server.close()
            self._ends = True
            self.cut()
            async with self._news:
                self._news.notify_all()
            while self._open:
                self._idle.clear()
                await self._idle.wait()
            await self._server.wait_closed()
            self._server = None
        if forget:
            self.kept.clear()

    def cut(self) -> None:
        """Break every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    def stream(self, ending: str) -> Stream:
        """The stream whose key ends so."""
        found: Stream = self.kept[self.key(ending)]
        return found

    async def put(self, key: bytes, *fields: bytes) -> None:
        """Add an entry to a stream, as somebody else might."""
        await self._do([b"XADD", key, b"MAXLEN", b"~", b"1000", b"*", *fields])

    def key(self, ending: str) -> bytes:
        """The key that ends so."""
        (found,) = [key for key in self.kept if key.endswith(ending.encode())]
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        talk = _Talk(known=not self.password)
        try:
            while True:
                words = await _read(reader)
                self.said.append(words[0].decode().upper())
                if self.ails == "mute":
                    await reader.read()
                if (broken := self.breaks()) == "before":
                    break
                try:
                    reply = await self._answer(talk, words)
                except Wrong as error:
                    reply = error
                if broken:
                    break
                writer.write(_reply(reply))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            self._idle.set()
            writer.close()

    async def _answer(self, talk: _Talk, words: list[bytes]) -> Any:
        name = words[0].decode().upper()
        if name == "AUTH":
            talk.known = words[-1].decode() == self.password
        if not talk.known:
            self._refuse(
                "WRONGPASS invalid username-password pair" if name == "AUTH" else "NOAUTH Authentication required."
            )
        if name in {"AUTH", "MULTI"}:
            talk.queued = [] if name == "MULTI" else None
            return Simple("OK")
        if name == "EXEC":
            queued, talk.queued = talk.queued, None
            if queued is None:
                self._refuse("EXECABORT Transaction discarded because of previous errors.")
            return [await self._do(one) for one in queued]
        if talk.queued is None:
            return await self._do(words)
        try:
            self._well(name)
        except Wrong:
            talk.queued = None
            raise
        talk.queued.append(words)
        return Simple("QUEUED")

    @staticmethod
    def _refuse(why: str) -> NoReturn:
        raise Wrong(why)

    def _well(self, name: str) -> None:
        if self.ails == "old" and name.startswith("X"):
            raise Wrong(f"ERR unknown command '{name}', with args beginning with: ")
        if self.ails == "taken" and name.startswith("X"):
            raise Wrong("WRONGTYPE Operation against a key holding the wrong kind of value")
        if self.ails == "full" and name in GROWS:
            raise Wrong("OOM command not allowed when used memory > 'maxmemory'.")
        if self.ails == "replica" and name in WRITES:
            raise Wrong("READONLY You can't write against a read only replica.")
        if self.ails == "unsaved" and name in WRITES:
            raise Wrong(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
                " Commands that may modify the data set are disabled."
            )

    async def _do(self, words: list[bytes]) -> Any:
        name, *rest = words
        self._well(name.decode().upper())
        does: Callable[..., Any] | None = getattr(self, f"_{name.decode().lower()}", None)
        if does is None:
            raise Wrong(f"ERR unknown command '{name.decode()}', with args beginning with: ")
        found = does(*rest)
        if asyncio.iscoroutine(found):
            return await found
        async with self._news:
            self._news.notify_all()
        return found

    # Commands --------------------------------------------------------------------------------------------------

    def _client(self, what: bytes, *_: bytes) -> Any:
        if what.upper() not in {b"SETNAME", b"SETINFO"}:
            raise Wrong("ERR unknown subcommand")
        return Simple("OK")

    def _info(self) -> bytes:
        if self.ails == "limited":
            self._refuse("NOPERM User timmy has no permissions to run the 'info' command")
        return "".join(f"{name}:{fact}\r\n" for name, fact in self.facts.items()).encode()

    def _select(self, database: bytes) -> Any:
        assert database == b"0"
        return Simple("OK")

    def _xgroup(self, what: bytes, key: bytes, group: bytes, start: bytes, make: bytes) -> Any:
        assert (what, start, make) == (b"CREATE", b"0", b"MKSTREAM")
        stream = self.kept.setdefault(key, Stream())
        if group in stream.groups:
            raise Wrong("BUSYGROUP Consumer Group name already exists")
        stream.groups[group] = Group()
        return Simple("OK")

    def _xadd(self, key: bytes, maxlen: bytes, about: bytes, most: bytes, star: bytes, *fields: bytes) -> bytes:
        assert (maxlen, about, star) == (b"MAXLEN", b"~", b"*")
        assert len(fields) == 2
        stream = self.kept.setdefault(key, Stream())
        now = time.time_ns() // 1_000_000  # noqa: TID251 - as Redis does
        stream.last = max((now, 0), (stream.last[0], stream.last[1] + 1))
        stream.entries[stream.last] = [*fields]
        while len(stream.entries) > int(most):
            stream.entries.popitem(last=False)
        return _name(stream.last)

    async def _xread(self, *words: bytes) -> Any:
        options, keys = _split(words)
        assert len(keys) == 2
        last = _number(keys[1])

        def found() -> list[Any]:
            stream = self.kept.get(keys[0])
            return _shown(stream.after(last, int(options[b"COUNT"]))) if stream else []

        return await self._waited(keys[0], found, options)

    async def _xreadgroup(self, word: bytes, group: bytes, consumer: bytes, *words: bytes) -> Any:
        assert word == b"GROUP"
        options, keys = _split(words)
        stream: Stream | None = self.kept.get(keys[0])
        if stream is None or group not in stream.groups:
            raise Wrong(f"NOGROUP No such key '{keys[0].decode()}' or consumer group '{group.decode()}' in XREADGROUP")
        own, count = stream.groups[group], int(options[b"COUNT"])
        if keys[1] != b">":
            pending = [one for one in own.pending if one > _number(keys[1])][:count]
            return [[keys[0], [[_name(one), stream.entries.get(one)] for one in pending]]]

        group_of = stream

        def found() -> list[Any]:
            if self.kept.get(keys[0]) is not group_of:
                raise Wrong("NOGROUP the consumer group this client was blocked on no longer exists")
            came = group_of.after(own.last, count)
            for one, _ in came:
                own.last = one
                own.pending[one] = consumer
            return _shown(came)

        return await self._waited(keys[0], found, options)

    async def _waited(self, key: bytes, found: Callable[[], list[Any]], options: dict[bytes, bytes]) -> Any:
        came: list[Any] = found()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(int(options.get(b"BLOCK", b"0")) / 1000), self._news:
                while not (came or self._ends):
                    await self._news.wait()
                    came = found()
        return [[key, came]] if came else ()

    def _xack(self, key: bytes, group: bytes, *ids: bytes) -> int:
        stream = self.kept.get(key)
        pending = stream.groups[group].pending if stream and group in stream.groups else {}
        return sum(pending.pop(_number(one), None) is not None for one in ids)

    def _xdel(self, key: bytes, *ids: bytes) -> int:
        stream = self.kept.get(key)
        return sum(stream.entries.pop(_number(one), None) is not None for one in ids) if stream else 0

    def _expire(self, key: bytes, seconds: bytes) -> int:
        assert int(seconds) > 0
        return int(key in self.kept)

    def _del(self, *keys: bytes) -> int:
        return sum(self.kept.pop(key, None) is not None for key in keys)

    def _rpush(self, key: bytes, piece: bytes) -> int:
        self.kept.setdefault(key, []).append(piece)
        if self.spoil is not None:
            self.spoil(self.kept[key])
        return len(self.kept.get(key, ()))

    def _lrange(self, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
        found: list[bytes] = self.kept.get(key, [])[int(start) : int(stop) + 1]
        return found

    def _sadd(self, key: bytes, member: bytes) -> int:
        held = self.kept.setdefault(key, set())
        new = member not in held
        held.add(member)
        return int(new)

    def _smembers(self, key: bytes) -> list[bytes]:
        return sorted(self.kept.get(key, ()))

    def _exists(self, key: bytes) -> int:
        return int(key in self.kept)

    def _get(self, key: bytes) -> Any:
        return self.kept.get(key)

    def _set(self, key: bytes, value: bytes, ex: bytes, seconds: bytes) -> Any:
        assert ex == b"EX"
        assert int(seconds) > 0
        self.kept[key] = value
        return Simple("OK")


async def _read(reader: asyncio.StreamReader) -> list[bytes]:
    """A command: an array of bulk strings (RESP)."""
    head = await reader.readuntil(b"\r\n")
    assert head[:1] == b"*", head
    words = []
    for _ in range(int(head[1:])):
        size = await reader.readuntil(b"\r\n")
        assert size[:1] == b"$", size
        words.append((await reader.readexactly(int(size[1:]) + 2))[:-2])
    return words


def _reply(reply: Any) -> bytes:
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(_reply, reply))
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if reply is None:
        return b"$-1\r\n"
    if reply == ():
        return b"*-1\r\n"
    return f"{'-' if isinstance(reply, Wrong) else ':' if isinstance(reply, int) else '+'}{reply}\r\n".encode()


def _split(words: tuple[bytes, ...]) -> tuple[dict[bytes, bytes], tuple[bytes, ...]]:
    """Options, and what follows STREAMS."""
    at = words.index(b"STREAMS")
    options = dict(zip(words[:at:2], words[1:at:2], strict=True))
    assert options.keys() <= {b"COUNT", b"BLOCK"}
    return options, words[at + 1 :]


def _name(one: tuple[int, int]) -> bytes:
    return b"%d-%d" % one


def _number(name: bytes) -> tuple[int, int]:
    first, _, second = name.partition(b"-")
    return int(first), int(second or 0)


def _shown(entries: list[tuple[tuple[int, int], list[bytes]]]) -> list[Any]:
    return [[_name(one), fields] for one, fields in entries]
