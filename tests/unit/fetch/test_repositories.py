"""Repositories of the internet: cloned from hosts that are allowed, whole or not at all, and by no other way."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from adapters.fetch.addresses import BadAddress, ClosedAddress, Reach
from adapters.fetch.repositories import (
    HostNotNamed,
    Most,
    NotCloned,
    Repositories,
    RepositoryThere,
    RepositoryTooLarge,
    RepositoryUnnamed,
)
from tests.depth import first
from tests.fakes import FakeIds
from tests.project import SELF, git
from tests.unit.fetch.test_fetcher import tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp.abc import ResolveResult

    from core.errors import HubError


@dataclass
class Host:
    """A host of repositories, by Git's smart protocol (gitprotocol-http); what it was asked, and how it misbehaves."""

    folder: Path
    port: int = 0
    asked: list[str] = field(default_factory=list)
    elsewhere: str = ""
    hangs: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ann/shop.git"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs} {request.headers.get('Authorization', '')}".strip())
        if self.hangs:
            await self.over.wait()
        if self.elsewhere:
            raise web.HTTPFound(self.elsewhere + request.path_qs)
        advertises = request.method == "GET"
        words = ["--stateless-rpc", *(["--advertise-refs"] if advertises else []), str(self.folder)]
        process = await asyncio.create_subprocess_exec(
            "git", "upload-pack", *words, env=SELF, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate(await request.read())
        kind = "advertisement" if advertises else "result"
        head = b"001e# service=git-upload-pack\n0000" if advertises else b""
        return web.Response(body=head + said, content_type=f"application/x-git-upload-pack-{kind}")


@asynccontextmanager
async def host(folder: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    there = folder / "theirs"
    there.mkdir()
    git(there, "init", "--quiet", "--initial-branch=main")
    (there / "cart.py").write_text("total = 1\n")
    (there / "link.md").symlink_to("/etc/passwd")
    (there / ".gitattributes").write_text("* filter=evil\n")
    git(there, "add", ".")
    git(there, "commit", "--quiet", "-m", "First")
    found = Host(there)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    found.port = runner.addresses[0][1]
    try:
        yield found
    finally:
        found.over.set()
        await runner.cleanup()


def repositories(
    folder: Path,
    *hosts: str,
    most: Most | None = None,
    loopback: bool = True,
    resolver: AbstractResolver | None = None,
    trust: Path | None = None,
) -> Repositories:
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    named, reach = hosts or ("127.0.0.1",), Reach(loopback=loopback)
    return Repositories(workspace, named, FakeIds(), most, reach=reach, resolver=resolver, trust=trust)


async def test_a_repository_is_cloned_whole_and_its_links_lead_nowhere(tmp_path: Path) -> None:
    async with host(tmp_path) as there:
        assert await repositories(tmp_path).clone(there.url) == "shop"
        shop = tmp_path / "workspace/shop"
        assert git(shop, "log", "--format=%s") == "First"
        assert (shop / "cart.py").read_text() == "total = 1\n"
        assert not (shop / "link.md").is_symlink()
        assert git(shop, "status", "--porcelain") == ""
        assert not (shop / ".git/hooks").exists()
        assert [path.name for path in (tmp_path / "workspace").iterdir()] == ["shop"]
        count = len(there.asked)
        with pytest.raises(RepositoryThere, match="shop"):
            await repositories(tmp_path).look(there.url)
        await repositories(tmp_path).look(there.url, "other")
        assert len(there.asked) == count, "to look asks nobody"
        with pytest.raises(RepositoryThere, match="shop"):
            await repositories(tmp_path).clone(there.url)
        assert await repositories(tmp_path).clone(there.url, "other") == "other"
        assert not any("Basic" in one for one in there.asked)


@pytest.mark.parametrize(
    ("url", "error"),
    first(3, [
        ("https://example.org/ann/shop.git", HostNotNamed),
        ("file:///etc", BadAddress),
        ("ssh://git@codeberg.org/ann/shop", BadAddress),
        ("http://codeberg.org/ann/shop", ClosedAddress),
        ("https://ann:word@codeberg.org/ann/shop", BadAddress),
        ("https://127.0.0.1/ann/shop", ClosedAddress),
        ("https://169.254.169.254/x", ClosedAddress),
        ("https://codeberg.org.evil.example/x", HostNotNamed),
        ("git@codeberg.org:ann/shop.git", BadAddress),
        ("ext::sh -c id", BadAddress),
        ("--upload-pack=id", BadAddress),
        ("https://codeberg.org/", RepositoryUnnamed),
        ("https://codeberg.org/ann/.git", RepositoryUnnamed),
    ]),
)  # fmt: skip
async def test_what_is_no_repository_of_an_allowed_host_is_refused(
    tmp_path: Path, url: str, error: type[HubError]
) -> None:
    cloner = repositories(tmp_path, "codeberg.org", loopback=False)
    for way in (cloner.look, cloner.clone):
        with pytest.raises(error):
            await way(url)
    assert list((tmp_path / "workspace").iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", ".git", "-x", "x.lock", "", "ä"])
async def test_it_has_a_plain_name(tmp_path: Path, name: str) -> None:
    if name:
        with pytest.raises(RepositoryUnnamed):
            await repositories(tmp_path, "codeberg.org").clone("https://codeberg.org/ann/shop", name)


@pytest.mark.long
async def test_a_name_that_leads_into_the_own_network_is_not_asked(tmp_path: Path) -> None:
    async with host(tmp_path) as there:
        cloner = repositories(tmp_path, "localhost.example.org", loopback=False, resolver=_Liar())
        with pytest.raises(ClosedAddress):
            await cloner.clone(f"https://localhost.example.org:{there.port}/ann/shop.git")
        assert there.asked == []


class _Liar(AbstractResolver):
    """Says of every name that it is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


@pytest.mark.long
async def test_git_connects_to_the_address_that_was_looked_at_and_believes_certificates(tmp_path: Path) -> None:
    server, _ = tls(tmp_path)
    async with host(tmp_path, server) as there:
        url = f"https://shop.example:{there.port}/ann/shop.git"
        with pytest.raises(NotCloned, match="certificate"):
            await repositories(tmp_path, "shop.example", resolver=_Liar()).clone(url)
        assert there.asked == []
        cloner = repositories(tmp_path, "shop.example", resolver=_Liar(), trust=tmp_path / "all.pem")
        assert await cloner.clone(url) == "shop"


@pytest.mark.long
async def test_nobody_is_followed_elsewhere(tmp_path: Path) -> None:
    async with host(tmp_path) as there:
        (tmp_path / "second").mkdir()
        async with host(tmp_path / "second") as elsewhere:
            there.elsewhere = f"http://127.0.0.1:{elsewhere.port}"
            with pytest.raises(NotCloned, match=r"127\.0\.0\.1 gave no repository: .* error: 302"):
                await repositories(tmp_path).clone(there.url)
            assert (len(there.asked), elsewhere.asked) == (1, [])


@pytest.mark.long
async def test_what_never_ends_is_ended_and_leaves_nothing(tmp_path: Path) -> None:
    async with host(tmp_path) as there:
        there.hangs = True
        with pytest.raises(NotCloned, match=r"longer than 0\.5 s"):
            await repositories(tmp_path, most=Most(seconds=0.5)).clone(there.url)
        there.hangs = False
        (there.folder / "large").write_bytes(os.urandom(6_000_000))  # noqa: TID251 - what cannot be packed
        git(there.folder, "add", ".")
        git(there.folder, "commit", "--quiet", "-m", "Large")
        with pytest.raises(RepositoryTooLarge):
            await repositories(tmp_path, most=Most(seconds=20, size=3_000_000)).clone(there.url)
        assert list((tmp_path / "workspace").iterdir()) == []


@pytest.mark.long
async def test_objects_that_lead_out_are_refused(tmp_path: Path) -> None:
    async with host(tmp_path) as there:
        blob = git(there.folder, "hash-object", "-w", "--stdin", given=b"x")
        tree = git(there.folder, "mktree", given=f"100644 blob {blob}\t.git\n".encode())
        commit = git(there.folder, "commit-tree", tree, "-m", "Evil")
        git(there.folder, "update-ref", "refs/heads/main", commit)
        with pytest.raises(NotCloned):
            await repositories(tmp_path).clone(there.url)
        assert list((tmp_path / "workspace").iterdir()) == []


async def test_what_was_cloned_before_the_hub_was_stopped_is_there(tmp_path: Path) -> None:
    cloner = repositories(tmp_path)
    async with host(tmp_path) as there:
        assert await cloner.clone(there.url, again=True) == "shop", "it was not"
        asked = len(there.asked)
        assert await cloner.clone(there.url, again=True) == "shop"
        assert len(there.asked) == asked
        with pytest.raises(RepositoryThere):
            await cloner.clone(there.url)
        with pytest.raises(RepositoryThere):
            await cloner.clone(there.url.replace("/ann/", "/bob/"), again=True)
        (tmp_path / "workspace/notes").mkdir()
        with pytest.raises(RepositoryThere):
            await cloner.clone(there.url, "notes", again=True)


@pytest.mark.long
async def test_what_a_crash_left_is_swept(tmp_path: Path) -> None:
    cloner = repositories(tmp_path)
    (tmp_path / "workspace/.timmy-clone-x/objects").mkdir(parents=True)
    async with host(tmp_path) as there:
        await cloner.clone(there.url)
    assert [path.name for path in (tmp_path / "workspace").iterdir()] == ["shop"]
