"""The fetch helper against hostile servers on the loopback: what it connects to, what it follows, and how much of it it takes."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import tracemalloc
import zlib
from collections import deque
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.fetch.addresses import ClosedAddress, Reach
from adapters.fetch.fetcher import (
    BadRedirect,
    Bounds,
    PageFetcher,
    PageNotReached,
    PageTooLarge,
    PageUnreadable,
)
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.abc import ResolveResult

    Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SECRET = "hunter2"


class Names(AbstractResolver):
    """A name server that answers as it is told, one answer after the other; the last for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = deque(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        self.asked.append(host)
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return [
            {"hostname": host, "host": one, "port": port, "family": _family(one), "proto": 0, "flags": 0}
            for one in answer
        ]

    async def close(self) -> None:
        raise AssertionError("it is the test's")


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port; yields `127.0.0.1:PORT`."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@cache
def _certificate() -> tuple[bytes, bytes]:
    """A certificate for `shop.example`, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


def tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's side, and the one that trusts it."""
    certificate, key = _certificate()
    (folder / "all.pem").write_bytes(certificate + key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "all.pem")
    return server, ssl.create_default_context(cadata=certificate.decode())


def page(body: bytes = b"hello", status: int = 200, /, **headers: Any) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(
            body=body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return handler


LOCAL = Reach(loopback=True)


async def fetched(handler: Handler, bounds: Bounds | None = None) -> Any:
    async with serving(handler) as host:
        return await PageFetcher(LOCAL, bounds).get(f"http://{host}/a?key={SECRET}")


async def refusal(error: type[HubError], handler: Handler, bounds: Bounds | None = None) -> str:
    with pytest.raises(error) as refused:
        await fetched(handler, bounds)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    return str(refused.value)


async def test_a_page_with_what_is_needed_of_its_headers() -> None:
    seen: list[dict[str, str]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(dict(request.headers))
        answer = web.Response(body=b"\xe4", status=402, headers={"Content-Type": "Text/HTML; charset=Latin-1"})
        for number in range(20):
            answer.headers.add("WWW-Authenticate", f"L402 {number}")
        answer.set_cookie("a", "b")
        return answer

    found = await fetched(handler)
    assert (found.status, found.kind, found.charset, found.body) == (402, "text/html", "Latin-1", b"\xe4")
    assert found.challenges == tuple(f"L402 {number}" for number in range(8))
    assert found.url.endswith(f"/a?key={SECRET}")
    assert SECRET not in repr(found)
    assert seen[0].keys() == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}


async def test_the_environment_and_earlier_pages_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    for name, value in {
        "http_proxy": "http://127.0.0.1:9",
        "NETRC": f"{tmp_path}/.netrc",
        "HOME": f"{tmp_path}",
    }.items():
        monkeypatch.setenv(name, value)
    seen: list[bool] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append({"Cookie", "Authorization"}.isdisjoint(request.headers))
        answer = web.Response()
        answer.set_cookie("a", "b")
        return answer

    async with serving(handler) as host:
        fetcher = PageFetcher(LOCAL)
        for _ in range(2):
            assert (await fetcher.get(f"http://{host}/")).status == 200
    assert seen == [True, True]


@pytest.mark.parametrize("private", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1"])
async def test_a_name_that_leads_inside_is_closed_whatever_else_it_leads_to(private: str) -> None:
    with pytest.raises(ClosedAddress, match=r"shop\.example is not fetched"):
        await PageFetcher(resolver=Names(["8.8.8.8", private])).get("https://shop.example/")


async def test_the_address_that_was_checked_is_the_one_that_is_used() -> None:
    """A name that is first good and then bad: each connection looks once, and goes where it looked."""
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/again"})

    async with serving(handler) as host:
        port = host.rpartition(":")[2]
        names = Names(["127.0.0.1"], ["169.254.169.254"])
        fetcher = PageFetcher(Reach(frozenset({f"shop.example:{port}"})), resolver=names)
        with pytest.raises(ClosedAddress):
            await fetcher.get(f"http://shop.example:{port}/first")
    assert (seen, names.asked) == (["/first"], ["shop.example", "shop.example"])


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("https://127.0.0.2:1/", ClosedAddress), ("http://10.0.0.1/", ClosedAddress), ("//169.254.169.254/", ClosedAddress),
        ("http://[::ffff:10.0.0.1]/", ClosedAddress), ("http://2130706433/", HubError), ("file:///etc/passwd", HubError),
        ("http://user:hunter2@127.0.0.1/", HubError), ("https://localhost/", ClosedAddress), ("https://[", BadRedirect),
        ("/again", BadRedirect),
    ],
)  # fmt: skip
async def test_every_redirection_is_checked(location: str, error: type[HubError]) -> None:
    reach = Reach(frozenset({"shop.example"}), loopback=False)
    handler = page(b"", 302, Location=location)
    async with serving(handler) as host:
        names = Names(["127.0.0.1"])
        port = host.rpartition(":")[2]
        fetcher = PageFetcher(Reach(reach.hosts | {f"shop.example:{port}"}), resolver=names)
        with pytest.raises(error) as refused:
            await fetcher.get(f"http://shop.example:{port}/?{SECRET}")
    assert SECRET not in str(refused.value)


async def test_three_redirections_are_followed_and_only_the_origin_gets_the_token() -> None:
    seen: list[tuple[str, str]] = []
    hops: dict[str, str] = {}

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.path, request.headers.get("Authorization", "")))
        if location := hops.get(request.path):
            return web.Response(status=307, headers={"Location": location})
        return web.Response(text="there")

    async with serving(handler) as one, serving(handler) as other:
        hops.update({"/1": "/2", "/2": f"http://{other}/3", "/3": f"http://{other}/4"})
        found = await PageFetcher(LOCAL).get(f"http://{one}/1", authorization="L402 a:b")
        hops["/0"] = "/1"
        with pytest.raises(BadRedirect, match="more than 3 times"):
            await PageFetcher(LOCAL).get(f"http://{one}/0")
    assert (found.body, found.url) == (b"there", f"http://{other}/4")
    assert seen[:4] == [("/1", "L402 a:b"), ("/2", "L402 a:b"), ("/3", ""), ("/4", "")]
    assert [path for path, _ in seen[4:]] == ["/0", "/1", "/2", "/3"]


async def test_https_is_spoken_and_never_left_for_http(tmp_path: Path) -> None:
    server, trust = tls(tmp_path)
    hops: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": hops[0]}) if hops else web.Response(text="safe")

    async with serving(handler, server) as host, serving(page()) as plain:
        url = f"https://shop.example:{host.rpartition(':')[2]}/"
        reach = Reach(frozenset({"shop.example:" + host.rpartition(":")[2]}), loopback=True)
        fetcher = PageFetcher(reach, resolver=Names(["127.0.0.1"]), trust=trust)
        assert (await fetcher.get(url)).body == b"safe"
        hops.append(f"http://{plain}/")
        with pytest.raises(BadRedirect, match="from https to http"):
            await fetcher.get(url)
        with pytest.raises(PageNotReached, match=r"shop\.example could not be fetched: .*certificate"):
            await PageFetcher(reach, resolver=Names(["127.0.0.1"])).get(url)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_what_is_packed_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    assert (await fetched(page(pack(b"hello" * 100), Content_Encoding="gzip"))).body == b"hello" * 100
    assert (await fetched(page(b"", Content_Encoding="gzip"))).body == b""


async def test_a_small_bomb_stays_small() -> None:
    bomb = page(gzip.compress(bytes(2**25)), Content_Encoding="gzip")
    tracemalloc.start()
    try:
        await refusal(PageTooLarge, bomb, Bounds(size=2**20))
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


async def test_no_more_is_taken_than_was_meant_packed_or_not() -> None:
    bounds = Bounds(size=2**20)
    assert len((await fetched(page(b"a" * 2**20), bounds)).body) == 2**20
    for large in (page(b"a" * (2**20 + 1)), page(gzip.compress(bytes(2**25)), Content_Encoding="gzip")):
        said = await refusal(PageTooLarge, large, bounds)
        assert said == "What 127.0.0.1 answers is larger than the 1 MB that are taken."
    assert "999 bytes" in await refusal(PageTooLarge, page(b"a" * 1000), Bounds(size=999))
    found = await fetched(page(b"a" * 2**20, 500), bounds)
    assert (found.status, len(found.body)) == (500, 16 * 1024)
    assert (
        len((await fetched(page(gzip.compress(bytes(2**22)), 500, Content_Encoding="gzip"), bounds)).body) == 16 * 1024
    )


async def test_what_is_too_large_is_not_read_to_its_end() -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"a" * 1_001)
        await asyncio.Event().wait()
        return answer

    assert "larger than the 1,000 bytes" in await refusal(PageTooLarge, endless, Bounds(seconds=5, size=1_000))


@pytest.mark.parametrize(
    ("body", "packing"),
    [(b"nonsense", "gzip"), (gzip.compress(b"hello" * 100, mtime=0)[:-20], "gzip"), (b"a", "br"), (b"a", "gzip, gzip")],
)
async def test_what_cannot_be_unpacked_is_not_kept(body: bytes, packing: str) -> None:
    await refusal(PageUnreadable, page(body, Content_Encoding=packing))
    assert (await fetched(page(body, 402, Content_Encoding=packing, WWW_Authenticate="L402"))).challenges == ("L402",)


async def test_all_of_it_takes_only_so_long() -> None:
    gone = asyncio.Event()

    async def drip(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(20):
            await answer.write(b"a")
        await gone.wait()
        return answer

    try:
        said = await refusal(PageNotReached, drip, Bounds(seconds=0.05))
    finally:
        gone.set()
    assert said == "127.0.0.1 could not be fetched: it took longer than 0.05 s. Try again later."


async def test_an_answer_that_is_lost_is_not_asked_for_again() -> None:
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.path)
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    await refusal(PageNotReached, handler)
    assert seen == ["/a"]


async def test_headers_are_bounded() -> None:
    await refusal(PageNotReached, page(X_A="a" * 9000))
    await refusal(PageNotReached, page(b"", 200, **{f"X_{number}": "a" for number in range(200)}))


async def test_nobody_there() -> None:
    async with serving(page()) as host:
        pass
    with pytest.raises(PageNotReached, match=r"^127\.0\.0\.1 could not be fetched: Connection refused\."):
        await PageFetcher(LOCAL).get(f"http://{host}/?{SECRET}")
