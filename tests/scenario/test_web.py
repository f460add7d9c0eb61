"""The hub over HTTP, as a browser, a script and an attacker meet it: a whole hub, real sockets, a clock that is told."""

from __future__ import annotations

import asyncio
import json
import resource
import select
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import pytest

from adapters.web import connections, event_stream, live, picture, server, streams
from adapters.web.errors import PortInUse
from adapters.web.guard import COOKIE
from bot.app import build
from config.settings import Http
from core.events import PRIVATE, Event, Kind
from core.swarm.crew import SILENCE
from core.swarm.ports import Decline
from tests.depth import first
from tests.fakes import FakeClock, FakeIds
from tests.program import Program
from tests.scenario.bot import PATIENCE, Hands, hub, settings
from tests.scenario.crew import workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from bot.app import App
    from core.events import Json
    from tests.scenario.bot import Bot

T = TypeVar("T")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
CANARY = "canary-4711"
OPEN = ("/", "/page.css", "/page.js", "/healthz", "/readyz")
GUARDED = ("/events", "/metrics", "/openapi.json", "/page/tasks")


class Stream:
    """Server-sent events as a client reads them."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.heard = ""
        self.page: dict[str, Any] = {}
        """The newest of every section that came."""

    async def frame(self) -> dict[str, str]:
        """The next block of fields; a heartbeat is the field with no name. `EOFError` once the stream ends."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            while line := (await self.answer.content.readline()).decode():
                self.heard += line
                if line == "\n":
                    return fields
                name, _, value = line.rstrip("\n").partition(":")
                fields[name] = value.strip()
        raise EOFError

    async def data(self) -> dict[str, Any]:
        """The next event's data."""
        while "data" not in (found := await self.frame()):
            pass
        data: dict[str, Any] = json.loads(found["data"])
        self.page |= data
        return data | ({"sse": int(found["id"])} if "id" in found else {})

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event whose data are so."""
        while not true(found := await self.data()):
            pass
        return found

    async def over(self) -> None:
        """Read to the end."""
        while True:
            try:
                await self.frame()
            except EOFError:
                return


class Browser:
    """A client of one hub. Cookies of 127.0.0.1 are kept."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str, token: str | None = None, *, method: str = "GET", **headers: str) -> Answer:
        """Ask, follow no redirect, read all."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        async with self.session.request(method, path, headers=sent, allow_redirects=False) as answer:
            return Answer(answer, await answer.text())

    @asynccontextmanager
    async def stream(self, path: str, token: str | None = None, last: int | str | None = None) -> AsyncIterator[Stream]:
        """Listen."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        async with self.session.get(path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            yield Stream(answer)


class Answer:
    """An answer, read."""

    def __init__(self, answer: aiohttp.ClientResponse, text: str) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.text = text

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        """Status and code; the body is the one error body and nothing else."""
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"code", "message"}
        assert self.json["error"]["message"].endswith((".", ".)", "timmy status says more."))
        return self.status, self.json["error"]["code"]


@asynccontextmanager
async def browser(app: App) -> AsyncIterator[Browser]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(app.address, cookie_jar=jar) as session:
        yield Browser(session)


@asynccontextmanager
async def website(folder: Path, **parts: Any) -> AsyncIterator[tuple[Bot, Browser]]:
    async with hub(folder, **parts) as bot, browser(bot.app) as web:
        yield bot, web


async def token(app: App, kind: str, name: str = "one", **more: Any) -> str:
    frame = {"token_kind": kind, "name": name, **more}
    text: str = (await app.console.admin["token.mint"](frame))["text"]
    return text


async def login_path(app: App) -> str:
    text: str = (await app.console.admin["page"]({}))["text"]
    assert text.startswith(f"{app.address}/login?code=")
    return text.removeprefix(app.address)


async def happen(app: App, count: int, name: str = "quill") -> None:
    """Write events, as many at once as are asked for."""

    def work(tx: UnitOfWork) -> None:
        for _ in range(count):
            tx.emit(Event(Kind.AGENT_SPAWNED, agent=name))

    await app.store.write(work)


# Doors -----------------------------------------------------------------------------------------------------------


async def test_what_is_open_needs_no_token(tmp_path: Path) -> None:
    async with website(tmp_path) as (_, web):
        for path in OPEN:
            assert (await web.get(path)).status == 200, path
            head = await web.get(path, method="HEAD")
            assert (head.status, head.text) == (200, ""), path


@pytest.mark.parametrize("path", first(2, GUARDED))
async def test_what_is_guarded_needs_an_owner_or_read_token(tmp_path: Path, path: str) -> None:
    async with website(tmp_path) as (bot, web):
        assert (await web.get(path)).error == (401, "no_token")
        assert (await web.get(path, "timmy_read_" + "x" * 43)).error == (401, "bad_token")
        assert (await web.get(path, Authorization="Basic b3duZXI6")).error == (401, "bad_token")
        worker = await token(bot.app, "worker", "drone")
        shortcut = await token(bot.app, "shortcut", "phone", **{"for": "console:owner"})
        for other in (worker, shortcut):
            assert (await web.get(path, other)).error == (403, "wrong_scope")
        for kind in ("read", "owner"):
            good = await token(bot.app, kind)
            async with web.session.get(path, headers={"Authorization": f"bearer {good}"}) as answer:
                assert answer.status == 200
            await bot.app.console.admin["token.revoke"]({"token_kind": kind, "name": "one"})
            assert (await web.get(path, good)).error == (401, "bad_token")


OURS = ("localhost", "LOCALHOST:1", "127.0.0.1:99", "127.9.9.9", "[::1]:8080")
FOREIGN = (
    "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example@127.0.0.1",
    "127.0.0.1#evil.example", "127.0.0.1, evil.example", "2130706433", "0.0.0.0", "10.0.0.1", "[::]", "",
)  # fmt: skip


async def test_only_a_host_of_ours_is_answered(tmp_path: Path) -> None:
    async with website(tmp_path) as (_, web):
        for path in ("/", "/live", "/healthz", "/nothing"):
            for host in OURS:
                async with web.session.get(path, headers={"Host": host}) as answer:
                    assert answer.status == (404 if path == "/nothing" else 200), (path, host)
            for host in FOREIGN:
                async with web.session.get(path, headers={"Host": host}) as answer:
                    assert answer.status == 403, (path, host)
                    assert (await answer.json())["error"]["code"] == "foreign_host", (path, host)


@pytest.mark.long
async def test_a_request_without_a_host_is_foreign_too(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, _):
        assert b"foreign_host" in await said(bot.app, b"GET /healthz HTTP/1.0\r\n\r\n")


async def test_the_public_and_the_allowed_hosts_are_answered(tmp_path: Path) -> None:
    http = Http(port=0, public_url="https://timmy.example.org", allowed_hosts="den.lan nest.lan:8443")
    found = settings(tmp_path).model_copy(update={"http": http})
    async with build(found, clock=FakeClock(), ids=FakeIds()) as app, browser(app) as web:
        for host in ("timmy.example.org", "timmy.example.org:443", "den.lan", "den.lan:1", "nest.lan:8443"):
            assert (await web.get("/healthz", Host=host)).status == 200, host
        for host in ("example.org", "xtimmy.example.org", "nest.lan", "nest.lan:8444"):
            assert (await web.get("/healthz", Host=host)).error == (403, "foreign_host"), host
        ours = {"Host": "timmy.example.org", "Origin": "https://timmy.example.org"}
        assert (await web.get("/healthz", **ours)).status == 200
        assert (await web.get("/healthz", **ours | {"Origin": "http://timmy.example.org"})).status == 403
        link: str = (await app.console.admin["page"]({}))["text"]
        assert link.startswith("https://timmy.example.org/login?code=")
        answer = await web.get(link.removeprefix("https://timmy.example.org"), Host="timmy.example.org")
        assert "; Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "url", first(1, ["https://timmy.example.org:443", "https://timmy.example.org/", "http://nas.lan:80"])
)
async def test_a_default_port_is_the_same_place_with_and_without(tmp_path: Path, url: str) -> None:
    found = settings(tmp_path).model_copy(update={"http": Http(port=0, public_url=url)})
    scheme, name, port = ("http", "nas.lan", 80) if "nas" in url else ("https", "timmy.example.org", 443)
    async with build(found, clock=FakeClock(), ids=FakeIds()) as app, browser(app) as web:
        for host in (name, f"{name}:{port}"):
            assert (await web.get("/healthz", Host=host, Origin=f"{scheme}://{name}")).status == 200, host
            assert (await web.get("/healthz", Host=host, Origin=f"ftp://{name}")).status == 403, host
            assert (await web.get("/healthz", Host=host, Origin=f"{scheme}://{name}:8443")).status == 403, host
        assert (await web.get("/healthz", Host="localhost:80", Origin="http://localhost")).status == 200


@pytest.mark.parametrize(("proxy", "believed"), first(2, [("127.0.0.0/8", True), ("10.0.0.1", False), (None, False)]))
async def test_only_the_trusted_proxy_says_that_a_page_came_encrypted(
    tmp_path: Path, proxy: str | None, believed: bool
) -> None:
    found = settings(tmp_path).model_copy(update={"http": Http(port=0, allowed_hosts="den.lan", trusted_proxy=proxy)})
    async with build(found, clock=FakeClock(), ids=FakeIds()) as app, browser(app) as web:
        ours = {"Host": "den.lan", "X-Forwarded-Proto": "https"}
        assert (await web.get("/healthz", **ours, Origin="https://den.lan")).status == 200
        assert (await web.get("/healthz", **ours, Origin="http://den.lan")).status == (403 if believed else 200)
        answer = await web.get(await login_path(app), **ours)
        assert ("; Secure" in answer.headers["Set-Cookie"]) is believed


async def test_a_foreign_origin_is_refused_whatever_it_asks(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        good = await token(bot.app, "owner")
        for path in ("/", "/live", "/events", "/healthz"):
            for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", ""):
                assert (await web.get(path, good, Origin=origin)).error == (403, "foreign_origin"), (path, origin)


async def test_another_site_may_link_to_the_page_and_not_embed_it(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        assert (await web.get("/healthz", Origin=bot.app.address)).status == 200
        assert (await web.get("/", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")).status == 200
        assert (await web.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")).status == 200
        for site in ("cross-site", "same-site"):
            embedded = await web.get("/page.js", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")
            assert embedded.error == (403, "foreign_origin")


# Every answer ----------------------------------------------------------------------------------------------------


async def said(app: App, request: bytes) -> bytes:
    """What the hub says to bytes, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(app.address.rpartition(":")[2]))
    writer.write(request)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        good = await token(bot.app, "read")
        answers = [await web.get(path) for path in (*OPEN, *GUARDED, "/nothing", "/login?code=x")]
        answers += [await web.get("/metrics", good), await web.get("/openapi.json", good)]
        answers += [await web.get("/", method="POST"), await web.get("/", Host="evil.example")]
        answers.append(await web.get(await login_path(bot.app)))
        async with web.stream("/live") as stream:
            answers.append(Answer(stream.answer, ""))
        assert {answer.status for answer in answers} == {200, 303, 401, 403, 404, 405}
        for answer in answers:
            assert answer.headers["Content-Security-Policy"] == CSP
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Server"] == "timmy"
            assert "Access-Control-Allow-Origin" not in answer.headers


REFUSED = [
    ("GET", "/nothing", 404, "not_found"),
    ("GET", "/static/../../etc/passwd", 404, "not_found"),
    ("GET", "/%2e%2e/page.html", 404, "not_found"),
    ("POST", "/nothing", 404, "not_found"),
    ("POST", "/healthz", 405, "method_not_allowed"),
    ("DELETE", "/events", 405, "method_not_allowed"),
    ("HEAD", "/live", 405, None),
    ("HEAD", "/login", 405, None),
    ("OPTIONS", "/events", 405, "method_not_allowed"),
]


async def test_refusals_of_the_library_have_our_body(tmp_path: Path) -> None:
    async with website(tmp_path) as (_, web):
        for method, path, status, code in REFUSED:
            answer = await web.get(path, method=method)
            assert answer.status == status, (method, path)
            if code is not None:
                assert answer.error == (status, code), (method, path)
            if status == 405:
                assert "GET" in answer.headers["Allow"], (method, path)


async def test_what_is_no_http_gets_our_body_too(tmp_path: Path) -> None:
    lines = (b"GARBAGE", b"GET /%s HTTP/1.1" % (b"a" * 9000), b"GET / HTTP/1.1\r\nHost: a\r\nHost: b")
    async with website(tmp_path) as (bot, _):
        for line in lines:
            head, _, body = (await said(bot.app, line + b"\r\nConnection: close\r\n\r\n")).partition(b"\r\n\r\n")
            assert head.split()[1] in {b"400", b"403"}, line
            assert set(json.loads(body)["error"]) == {"code", "message"}, line
            assert CSP.encode() in head, line
            assert b"aiohttp" not in head + body, line


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: local"])
async def test_a_connection_that_asks_for_nothing_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.05)
    async with website(tmp_path) as (bot, _):
        with suppress(ConnectionResetError):
            assert await said(bot.app, begun) == b""


async def test_idle_connections_make_room_for_those_that_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "most", lambda: 3)
    async with website(tmp_path) as (bot, web), AsyncExitStack() as stack, web.stream("/live") as stream:
        port = int(bot.app.address.rpartition(":")[2])
        for _ in range(6):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
        assert (await web.get("/healthz")).status == 200
        await stream.data()


def test_connections_leave_most_file_descriptors_to_the_rest_of_the_hub() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < connections.most() <= max(soft // 3, connections.FEWEST)


# Health ----------------------------------------------------------------------------------------------------------


async def test_health_is_the_parts_and_the_writer_and_never_the_model(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        assert not (await bot.data("/status"))["model"]["up"]
        await bot.app.delivery.drain(5)  # a note of what was sent would show a writer that works
        assert (await web.get("/healthz")).json == {"ok": True}
        part = bot.app.health.parts["console"]
        part.up, part.why = False, "its socket is gone"
        answer = await web.get("/healthz")
        assert answer.error == (503, "unhealthy")
        assert "console is down: its socket is gone" in answer.json["error"]["message"]
        part.up = True
        bot.app.store.busy_since = bot.clock.now() - 31_000
        answer = await web.get("/healthz")
        assert answer.error == (503, "unhealthy")
        assert "writer is stuck" in answer.json["error"]["message"]
        bot.app.store.busy_since = None
        assert (await web.get("/healthz")).status == 200
        assert (await web.get("/readyz")).status == 200
        bot.app.health.ready = False
        assert (await web.get("/readyz")).error == (503, "not_ready")


async def test_metrics_count_what_happened(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        await bot.say("/task summarise welcome.md")
        await bot.settled("T-1")
        lines = (await web.get("/metrics", await token(bot.app, "read"))).text.splitlines()
        for line in (
            "timmy_ready 1.0",
            'timmy_part_up{part="web"} 1.0',
            "timmy_tasks_posted_total 1.0",
            'timmy_money_sats{place="treasury"} 40.0',
            'timmy_events_total{type="TaskSettled"} 1.0',
            f"timmy_writer_commits_total {float(bot.app.store.commits)}",
        ):
            assert line in lines


async def while_time_passes(bot: Bot, work: Awaitable[T]) -> T:
    """Await `work`; meanwhile seconds go by, one each time that the hub has had a turn."""
    done = asyncio.Event()

    async def tick() -> None:
        while not done.is_set():
            bot.pass_time(1)
            await bot.app.store.read(lambda tx: tx.now)

    async def run() -> T:
        try:
            return await work
        finally:
            done.set()

    return (await asyncio.gather(run(), tick()))[0]


# Events ----------------------------------------------------------------------------------------------------------


async def test_events_tell_a_task_as_it_goes_and_none_of_its_words(tmp_path: Path) -> None:
    async with website(tmp_path, hands=Hands(does={"quill": f"{CANARY} result"})) as (bot, web):
        async with web.stream("/events", await token(bot.app, "read")) as stream:
            await bot.say(f"/task write {CANARY} words")
            told = [await stream.until(lambda event: event["type"] == "TaskPosted")]
            while told[-1]["type"] != "TaskSettled":
                told.append(await stream.data())
            assert CANARY not in stream.heard
        assert [event["type"] for event in told] == [
            "TaskPosted", "AuctionOpened", "BidPlaced", "BidPlaced", "TaskAwarded", "TaskStarted", "TaskDelivered",
            "TaskSettled",
        ]  # fmt: skip
        assert all(event["id"] == event["sse"] and event["task"] == "T-1" for event in told)
        assert told[-1]["agent"] == "quill"
        assert told[-1]["data"]["price_sats"] == 40
        assert told[0]["at"] == "2025-06-15T15:06:40.000Z"
        assert "agent" not in told[0]


async def test_a_mere_reader_learns_that_sats_moved_and_an_owner_how_many_and_whose(tmp_path: Path) -> None:
    secret: dict[str, Json] = {
        "invoice": CANARY,
        "payment": CANARY,
        "sats": 123456,
        "msat": 123456,
        "to": CANARY,
        "amount_sats": 123456,
    }
    async with website(tmp_path) as (bot, web):
        before = await bot.app.store.read(lambda tx: tx.last_event())
        kinds = [*PRIVATE]
        for kind in kinds:
            await bot.app.store.write(lambda tx, one=kind: tx.emit(Event(one, data=secret)))  # type: ignore[misc]
        for whose in ("read", "owner"):
            async with web.stream("/events", await token(bot.app, whose), before) as stream:
                told = [await stream.data() for _ in kinds]
                assert [event["type"] for event in told] == [kind.value for kind in kinds]
                assert [event["data"] == secret for event in told] == [whose == "owner"] * len(kinds)
                assert (CANARY in stream.heard or "123456" in stream.heard) == (whose == "owner")


async def test_a_stream_without_an_id_begins_now_and_with_zero_at_the_beginning(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        read = await token(bot.app, "read")
        await happen(bot.app, 3)
        async with web.stream("/events", read) as now, web.stream("/events", read, 0) as all_of_it:
            await happen(bot.app, 1, "echo")
            newest = await now.data()
            assert newest["agent"] == "echo"
            assert [(await all_of_it.data())["id"] for _ in range(newest["id"])] == [*range(1, newest["id"] + 1)]


async def test_an_id_of_another_book_begins_now_and_no_number_is_refused(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        read = await token(bot.app, "read")
        for wrong in ("x", "-1", "1.5", "9" * 30):
            assert (await web.get("/events", read, Last_Event_ID=wrong)).error == (422, "bad_event_id")
        async with web.stream("/events", read, 10**9) as stream:
            await happen(bot.app, 1, "echo")
            assert (await stream.data())["agent"] == "echo"


@pytest.mark.long
async def test_a_reader_that_comes_and_goes_while_events_are_written_misses_none_and_sees_none_twice(
    tmp_path: Path,
) -> None:
    batches = 60
    async with website(tmp_path) as (bot, web):
        read = await token(bot.app, "read")
        first = (await bot.app.store.read(lambda tx: tx.last_event())) + 1
        last = first + sum(range(1, batches + 1)) - 1
        seen: list[int] = []

        async def write() -> None:
            for size in range(1, batches + 1):
                await happen(bot.app, size)

        async def listen() -> None:
            while not seen or seen[-1] < last:
                async with web.stream("/events", read, seen[-1] if seen else first - 1) as stream:
                    many = min(97, last - (seen[-1] if seen else first - 1))
                    seen.extend([(await stream.data())["id"] for _ in range(many)])

        await asyncio.gather(write(), listen())
        assert seen == [*range(first, last + 1)]


async def test_a_silent_stream_has_a_heartbeat_and_ends_with_its_token(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        read = await token(bot.app, "read")
        async with web.stream("/events", read, 10**9) as stream:
            assert await stream.frame() == {"retry": "1000"}
            assert await while_time_passes(bot, stream.frame()) == {"": ""}
            await happen(bot.app, 1)
            assert "data" in await stream.frame()
            assert await while_time_passes(bot, stream.frame()) == {"": ""}
            await bot.app.console.admin["token.revoke"]({"token_kind": "read", "name": "one"})
            await while_time_passes(bot, stream.over())


async def test_a_reader_that_does_not_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STALL_SECONDS", 0.05)
    async with website(tmp_path) as (bot, web):
        read = await token(bot.app, "read")
        await happen(bot.app, 12_000, "x" * 1000)
        port = int(bot.app.address.rpartition(":")[2])
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", port))
            slow.sendall(
                f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {read}\r\nLast-Event-ID: 0\r\n\r\n".encode()
            )
            poll = select.poll()
            poll.register(slow, select.POLLHUP | select.POLLERR)
            dropped = await asyncio.to_thread(poll.poll, PATIENCE * 1000)
            assert dropped, "still connected"
        async with web.stream("/events", read, 11_000) as stream:
            assert (await stream.data())["id"] == 11_001
        assert (await web.get("/healthz")).status == 200


async def test_a_revoked_token_ends_its_stream_in_the_midst_of_events(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        read = await token(bot.app, "read")
        async with web.stream("/events", read, 0) as stream:
            await stream.data()
            await bot.app.console.admin["token.revoke"]({"token_kind": "read", "name": "one"})
            await happen(bot.app, 1, "canary")
            await stream.over()
            assert "canary" not in stream.heard


@pytest.mark.long
async def test_whoever_takes_every_seat_at_the_page_gives_up_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST", 3)
    http = Http(port=0, trusted_proxy="127.0.0.1")
    found = settings(tmp_path).model_copy(update={"http": http})
    async with build(found, clock=FakeClock(), ids=FakeIds()) as app, browser(app) as web, AsyncExitStack() as stack:

        async def look(address: str) -> Stream:
            answer = await stack.enter_async_context(
                web.session.get("/live", headers={"X-Forwarded-For": f"6.6.6.6, {address}"})
            )
            assert answer.status == 200
            return Stream(answer)

        owner, first, second = await look("10.0.0.1"), await look("10.0.0.9"), await look("10.0.0.9")
        other = await look("10.0.0.2")
        await first.over()
        for stream in (owner, second, other):
            await stream.data()


async def test_streams_are_bounded_and_a_seat_that_is_left_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/events"
    monkeypatch.setattr(event_stream, "MOST", 2)
    async with website(tmp_path) as (bot, web):
        read = await token(bot.app, "read")
        async with web.stream(path, read):
            async with web.stream(path, read):
                assert (await web.get(path, read)).error == (503, "too_many_streams")
            async with asyncio.timeout(PATIENCE):
                while True:
                    async with web.session.get(path, headers={"Authorization": f"Bearer {read}"}) as answer:
                        if answer.status == 200:
                            break


# The page's stream -----------------------------------------------------------------------------------------------


async def test_the_page_sees_a_task_go_by_and_nobody_s_words_or_names(tmp_path: Path) -> None:
    gate = asyncio.Event()
    hands = Hands(does={"quill": gate}, asks={"echo": Decline(f"needs a model: http://secret.lan/{CANARY}")})
    async with website(tmp_path, hands=hands) as (bot, web), web.stream("/live") as stream:
        first = await stream.data()
        assert first["session"] is False
        assert first["hub"]["ok"]
        assert {"name": "console", "up": True} in first["parts"]
        assert first["agents"] == [
            {
                "name": "echo",
                "kind": "persona",
                "role": "research",
                "state": "unable",
                "tasks": [],
                "why": "needs a model",
            },
            {"name": "quill", "kind": "persona", "role": "writing", "state": "free", "tasks": []},
        ]
        assert first["crew"] == {"here": 0, "away": 0, "more": 0}
        assert first["money"] == {
            "held_sats": 0,
            "escrow_sats": 0,
            "treasury_sats": 0,
            "earned_today_sats": 0,
            "spent_today_sats": 0,
            "simulated": True,
            "frozen": False,
        }
        assert first["tasks"] == []
        await bot.say(f"/task write {CANARY} max=100")
        await hands.at_work("T-1", "quill")
        busy = await seen(bot, stream, lambda now: [task["status"] for task in now["tasks"]] == ["running"])
        assert (busy["agents"][1]["state"], busy["agents"][1]["tasks"]) == ("busy", ["T-1"])
        await seen(bot, stream, lambda now: now["money"]["escrow_sats"] == 40)
        assert [(task["task"], task["status"], task["price_sats"]) for task in busy["tasks"]] == [
            ("T-1", "running", 40)
        ]
        await bot.say("/task for telegram:424242 to=telegram:424242 max=50")
        asked = await seen(bot, stream, lambda now: len(now["auctions"]) == 1)
        assert [(one["task"], one["bids"], one["budget_sats"]) for one in asked["auctions"]] == [("T-2", 0, 50)]
        await bot.say("/bid T-2 45", acting_for="telegram:424242")
        gate.set()
        await bot.settled("T-1")
        over = await seen(bot, stream, lambda now: now["tasks"][-1]["status"] == "settled" and not now["auctions"])
        assert over["tasks"][0]["agent"] == "a person"
        await seen(bot, stream, lambda now: now["money"]["earned_today_sats"] == 40)
        assert {"quill", "a person"} <= {event.get("agent") for event in over["events"]}
        for secret in (CANARY, "424242", "secret.lan", "console:owner"):
            assert secret not in stream.heard


async def test_the_page_shows_workers_by_name_and_what_they_are_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "WORKERS", 2)
    async with (
        hub(tmp_path, personas=()) as bot,
        browser(bot.app) as web,
        workers(bot, "abe", "box", "boy") as (abe, box, boy),
        web.stream("/live") as stream,
    ):
        await abe.enrol(CANARY)
        bot.pass_time(SILENCE / 1000)
        await box.enrol("any")
        await boy.enrol("any")
        await stream.data()
        now = await seen(bot, stream, lambda now: now["crew"] == {"here": 2, "away": 1, "more": 1})
        free = {"kind": "worker", "role": "worker", "state": "free", "tasks": []}
        assert now["agents"] == [{"name": "box", **free}, {"name": "boy", **free}]
        await bot.data(f"/task find {CANARY}")
        await box.refuse((await box.tasks(wait=20))[0])
        lease = await boy.won("T-1", 20)
        await boy.post("tasks/T-1/progress", lease_token=lease, text=CANARY)
        now = await seen(bot, stream, lambda now: now["agents"][1]["tasks"])
        assert now["agents"] == [{"name": "box", **free}, {"name": "boy", **free, "state": "busy", "tasks": ["T-1"]}]
        await boy.deliver("T-1", lease, CANARY)
        bot.pass_time(SILENCE / 1000)
        now = await seen(bot, stream, lambda now: now["crew"]["away"] == 3)
        assert [(one["name"], one["why"]) for one in now["agents"]] == [("abe", "away"), ("box", "away")]
        assert now["tasks"][0]["agent"] == "boy"
        assert CANARY not in stream.heard


@pytest.mark.long
async def test_the_page_shows_the_record_of_the_forecasts_and_the_advice_that_stands(tmp_path: Path) -> None:
    hands = Hands(asks={"quill": 20}, does={"quill": RuntimeError(CANARY)})
    async with website(tmp_path, hands=hands) as (bot, web), web.stream("/live") as stream:
        first = await stream.data()
        assert first["spark"] == {"scored": 0, "winners": 0, "right": 0, "advice": []}
        for number in range(5):
            await bot.say(f"/task write {CANARY}")
            await bot.settled(f"T-{number + 1}")
        now = await seen(bot, stream, lambda now: now["spark"]["scored"] == 5)
        (said,) = now["spark"]["advice"]
        assert said["text"] == ("quill did not finish 5 of its last 5 tasks in writing; echo finished 5 of 5: to=echo")
        assert said["since"] <= bot.clock.now()
        await bot.say("/dismiss quill")
        await bot.say("/task write")
        now = await seen(bot, stream, lambda now: not now["spark"]["advice"])
        assert CANARY not in stream.heard


async def seen(bot: Bot, stream: Stream, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The page once this is true of it: its sections as they come, while time passes."""
    async with asyncio.timeout(PATIENCE):
        while not true(stream.page):
            await while_time_passes(bot, stream.data())
    return stream.page


async def test_many_events_between_two_pictures_are_one_update(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web), web.stream("/live") as stream:
        await stream.data()
        await happen(bot.app, 1)
        await stream.data()
        for _ in range(50):
            await happen(bot.app, 1)
        update = await while_time_passes(bot, stream.data())
        assert set(update) == {"events"}
        newest = await bot.app.store.read(lambda tx: tx.last_event())
        assert update["events"][-1]["id"] == newest
        assert await while_time_passes(bot, stream.frame()) == {"": ""}


async def test_the_page_of_a_restarted_hub_remembers_what_just_happened(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, _):
        await happen(bot.app, 20)
    async with website(tmp_path) as (bot, web), web.stream("/live") as stream:
        events = (await stream.data())["events"]
        newest = await bot.app.store.read(lambda tx: tx.last_event())
        assert [event["id"] for event in events] == [*range(newest - 11, newest + 1)]


# The login -------------------------------------------------------------------------------------------------------


async def test_a_login_link_works_once_and_shows_what_tasks_say(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    async with website(tmp_path, hands=Hands(does={"quill": f"{hostile}</script>"})) as (bot, web):
        await bot.say(f"/task write {hostile}")
        await bot.settled("T-1")
        path = await login_path(bot.app)
        answer = await web.get(path)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        cookie_name = f"{COOKIE}_{bot.app.address.rpartition(':')[2]}"
        assert cookie.startswith(f"{cookie_name}="), "one cookie a port: browsers keep one jar for all of a machine"
        for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
            assert part in cookie.split("; ")
        assert "Secure" not in cookie
        found = await web.get("/page/tasks")
        assert found.headers["Content-Type"] == "application/json; charset=utf-8"
        assert found.json == {
            "tasks": [{"task": "T-1", "description": f"write {hostile}", "result": f"{hostile}</script>"}]
        }
        async with web.stream("/live") as stream:
            assert (await stream.data())["session"] is True
        for closed in ("/events", "/metrics", "/openapi.json"):
            assert (await web.get(closed)).error == (401, "no_token")
        async with browser(bot.app) as thief:
            assert (await thief.get(path)).error == (403, "bad_login")
            assert (await thief.get("/page/tasks")).error == (401, "no_token")
            page = await thief.get(path, Accept="text/html,*/*;q=0.8")
            assert (page.status, page.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
            forged = await thief.get("/page/tasks", Cookie=f"{cookie_name}=guess")
            assert forged.error == (401, "no_token")


async def test_a_wrong_login_says_what_to_do(tmp_path: Path) -> None:
    async with website(tmp_path) as (_, web):
        for path in ("/login", "/login?code=", "/login?code=guess", "/login?code=a&code=b"):
            answer = await web.get(path)
            assert answer.error == (403, "bad_login"), path
            assert "is not whole, " in answer.json["error"]["message"], path
            assert "timmy status --page" in answer.json["error"]["message"], path
            assert "Set-Cookie" not in answer.headers, path


@pytest.mark.long
async def test_links_and_sessions_end_with_time(tmp_path: Path) -> None:
    async with website(tmp_path) as (bot, web):
        path = await login_path(bot.app)
        bot.pass_time(5 * 60)
        assert (await web.get(path)).error == (403, "bad_login")
        await web.get(await login_path(bot.app))
        bot.pass_time(12 * 3600 - 1)
        assert (await web.get("/page/tasks")).status == 200
        bot.pass_time(1)
        assert (await web.get("/page/tasks")).error == (401, "no_token")


async def test_a_login_outlives_the_hub(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot, browser(bot.app) as web:
        answer = await web.get(await login_path(bot.app))
        cookie = answer.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    async with hub(tmp_path) as bot, browser(bot.app) as web:
        name = f"{COOKIE}_{bot.app.address.rpartition(':')[2]}"
        assert (await web.get("/page/tasks", Cookie=f"{name}={cookie}")).status == 200


# Start and stop --------------------------------------------------------------------------------------------------


async def test_a_port_in_use_refuses_the_start_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = settings(tmp_path).model_copy(update={"http": Http(port=port)})
        with pytest.raises(PortInUse, match=rf"Port {port} on 127\.0\.0\.1 is in use\. Set TIMMY_HTTP_PORT"):
            async with build(found):
                pass
        assert within(tmp_path) == []
        found.data_dir.mkdir()
        with pytest.raises(PortInUse):
            async with build(found):
                pass
        assert within(tmp_path) == [found.data_dir], "no workspace either"
    async with build(found) as app, browser(app) as web:
        assert app.address == f"http://127.0.0.1:{port}"
        assert (await web.get("/healthz")).status == 200


@pytest.mark.parametrize("path", ["/events", "/live"])
async def test_a_stop_does_not_wait_for_whoever_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(server, "SHUTDOWN_SECONDS", 10 * PATIENCE)
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
        async with hub(tmp_path) as bot:
            headers = {"Authorization": f"Bearer {await token(bot.app, 'read')}", "Last-Event-ID": "0"}
            answer = await session.get(bot.app.address + path, headers=headers)
            stream = Stream(answer)
            await stream.data()
        await stream.over()


def within(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def environment(folder: Path, port: int) -> dict[str, str]:
    return {
        "PATH": "", "TIMMY_DATA_DIR": str(folder / "data"), "TIMMY_WORKSPACE": str(folder / "workspace"),
        "TIMMY_HTTP_PORT": str(port), "TIMMY_OLLAMA_URL": "http://127.0.0.1:9",
    }  # fmt: skip


async def start(folder: Path, port: int) -> Program:
    return await Program.fork("run", env=environment(folder, port))


async def test_the_program_says_in_one_line_that_its_port_is_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start(tmp_path, port)
        out, err, code = await process.communicate()
    assert (code, out) == (1, b"")
    assert err.decode().splitlines() == [
        f"timmy: Port {port} on 127.0.0.1 is in use. Set TIMMY_HTTP_PORT to another port, or stop the program that listens there."
    ]


async def test_a_stop_closes_open_streams_and_takes_no_five_seconds(tmp_path: Path) -> None:
    process = await start(tmp_path, 0)
    ready = (await process.stderr.readline()).decode()
    assert ready.startswith("timmy: ready on http://127.0.0.1:")
    async with aiohttp.ClientSession(ready.split()[-1]) as session, Browser(session).stream("/live") as stream:
        await stream.data()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            await stream.over()
            assert await process.communicate() == (b"", b"", 0)
