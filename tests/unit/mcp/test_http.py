"""MCP servers behind HTTP: which addresses are reached, and what of an answer is taken. Each is a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from adapters.clockwork import Nursery, SystemClock
from adapters.mcp.servers import ServerSpec
from core.errors import HubError
from tests.mcp_peer import TOOLS
from tests.unit.mcp.test_server import everything, see

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from adapters.mcp.session import McpServer

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]


class Site:
    """A scripted server."""

    def __init__(self, behaviour: str = "") -> None:
        self.behaviour = behaviour
        self.asked: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.base = ""

    async def posted(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 - a way to answer each
        said = await request.json()
        self.asked.append((said.get("method", ""), said.get("params")))
        self.headers.append(dict(request.headers))
        match said.get("method"):
            case "initialize":
                return self.answer(said, {
                    "protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"},
                })  # fmt: skip
            case "tools/list":
                return self.answer(said, {"tools": TOOLS})
            case "tools/call" if self.behaviour == "redirects":
                raise web.HTTPTemporaryRedirect(self.base.replace("127.0.0.1", "127.0.0.2") + "/mcp")
            case "tools/call" if self.behaviour == "huge":
                return web.Response(body=b'{"x": "' + b"y" * 6_000_000 + b'"}', content_type="application/json")
            case "tools/call" if self.behaviour == "huge event":
                result = {"content": [{"type": "text", "text": "y" * 3_000_000}]}
                event = json.dumps({"jsonrpc": "2.0", "id": said["id"], "result": result})
                return web.Response(text=f"data: {event}\n\n", content_type="text/event-stream")
            case "tools/call" if self.behaviour == "fails":
                raise web.HTTPInternalServerError(text="a secret of the server")
            case "tools/call":
                return self.answer(said, {"content": [{"type": "text", "text": "3"}]})
            case "notifications/initialized":
                return web.Response(status=202)
            case _:
                error = {"jsonrpc": "2.0", "id": said.get("id"), "error": {"code": -32601, "message": "no"}}
                return web.json_response(error)

    def answer(self, said: dict[str, Any], result: dict[str, Any]) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": said["id"], "result": result})


@asynccontextmanager
async def site(behaviour: str = "") -> AsyncIterator[Site]:
    found = Site(behaviour)
    app = web.Application()
    app.router.add_post("/mcp", found.posted)
    runner = web.AppRunner(app)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await web.SockSite(runner, listening).start()
        found.base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield found
        finally:
            await runner.cleanup()


@asynccontextmanager
async def reached(folder: Path, **spec: Any) -> AsyncIterator[tuple[McpServer, list[HubError]]]:
    from adapters.mcp.session import McpServer  # noqa: PLC0415 - a second, for those that are run

    server = McpServer("far", ServerSpec.model_validate({"timeout": 45, **spec}), folder, SystemClock(), everything)
    up, errors = asyncio.Event(), list[HubError]()

    async def run() -> None:
        try:
            await server.run(up.set)
        except HubError as error:
            errors.append(error)

    async with Nursery() as nursery:
        nursery.spawn(run(), "a server")
        await see(lambda: up.is_set() or errors)
        yield server, errors


async def test_one_in_the_own_network_is_called_with_the_headers_that_its_owner_gave(tmp_path: Path) -> None:
    async with (
        site() as one,
        reached(tmp_path, url=f"{one.base}/mcp", headers={"Authorization": "Bearer x"}) as (far, errors),
    ):
        assert errors == []
        assert await far.call("add", {"a": 1, "b": 2}) == "3"
        assert one.asked[-1] == ("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
        assert {headers["Authorization"] for headers in one.headers} == {"Bearer x"}
        assert {headers["Host"] for headers in one.headers} == {one.base.removeprefix("http://")}


WAYS_OUT = [("redirects", "not followed"), ("huge", "is down (Connection closed)"), ("huge event", ""), ("fails", "")]


@pytest.mark.parametrize(("behaviour", "why"), WAYS_OUT)
async def test_what_leads_elsewhere_or_is_too_much_fails_the_call(tmp_path: Path, behaviour: str, why: str) -> None:
    async with site(behaviour) as one, reached(tmp_path, url=f"{one.base}/mcp") as (far, _):
        with pytest.raises(HubError) as failed:
            await far.call("add", {})
        assert why in str(failed.value)
        assert "secret" not in str(failed.value)
        assert len(str(failed.value)) < 500


OUTSIDE = ["192.0.2.1", "8.8.8.8", "169.254.169.254", "100.100.100.200", "[2001:db8::1]", "[::ffff:8.8.8.8]", "0.0.0.0"]


async def test_no_address_beyond_the_own_network_is_reached_unless_it_was_allowed(tmp_path: Path) -> None:
    for host in OUTSIDE:
        async with reached(tmp_path, url=f"http://{host}:9/mcp") as (_, errors):
            assert "is not in your own network" in str(errors[0]), host


def lead(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name leads there."""

    async def leads(_: str, port: int, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", leads)


@pytest.mark.parametrize("addresses", [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["192.0.2.1", "127.0.0.1"]])
async def test_a_name_is_looked_up_and_what_it_leads_to_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    lead(monkeypatch, *addresses)
    async with reached(tmp_path, url="http://printer.local/mcp") as (_, errors):
        assert "printer.local is not in your own network" in str(errors[0])


async def test_the_address_that_was_looked_at_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from httpx2 import MockTransport, Request, Response  # noqa: PLC0415 - as above

    from adapters.mcp.wire import _Checked  # noqa: PLC0415

    sent: list[Request] = []

    def answer(request: Request) -> Response:
        sent.append(request)
        return Response(200)

    lead(monkeypatch, "127.0.0.1")
    checked = _Checked("far", ServerSpec(url="http://printer.local:9/mcp"))
    monkeypatch.setattr(checked, "_inner", MockTransport(answer))
    await checked.handle_async_request(Request("POST", "http://printer.local:9/mcp"))
    (request,) = sent
    assert (str(request.url), request.headers["Host"]) == ("http://127.0.0.1:9/mcp", "printer.local:9")
    assert request.extensions["sni_hostname"] == "printer.local"


async def test_nothing_is_sent_to_another_host() -> None:
    from httpx2 import Request  # noqa: PLC0415 - as above

    from adapters.mcp.wire import _Checked  # noqa: PLC0415

    checked = _Checked("far", ServerSpec(url="http://127.0.0.1:9/mcp"))
    with pytest.raises(HubError, match=r"127\.0\.0\.2 is not in your own network"):
        await checked.handle_async_request(Request("POST", "http://127.0.0.2:9/mcp"))


async def test_one_that_is_not_there_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with reached(tmp_path, url=f"http://127.0.0.1:{port}/mcp") as (far, errors):
        assert "The MCP server far does not work with this hub: " in str(errors[0])
        assert far.closed()[0][0] == "far__*"
