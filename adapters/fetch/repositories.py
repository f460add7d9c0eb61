"""Git repositories of the internet: cloned into the workspace, from the hosts that the owner names and by the rules of every fetch.

The name is resolved and judged here, and git connects to that address alone (`http.curloptResolve`), follows no redirection, uses
no proxy and no credentials, and starts nothing that a repository names: no hook, no filter, no submodule. What comes is bounded in
time and size, checked object by object, and appears in the workspace once it is whole.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp.resolver import ThreadedResolver

from adapters.fetch.addresses import Reach, checked
from adapters.fetch.fetcher import Checked, PageNotReached
from core.errors import Refused, Unavailable, UserError
from core.store import DiskFull

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Collection, Mapping

    from aiohttp.abc import AbstractResolver
    from yarl import URL

    from core.ports import IdSource

PLACES = "/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin"
COMMITS = 200
"""How many commits of its main branch come, at most."""

_PASSING = ".timmy-clone-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOOK_SECONDS = 0.25
_BLOCK = 512
_LARGEST_CONFIG = 64_000
_MEMORY = 2 * 2**30

RULES: Mapping[str, str] = {
    "http.followRedirects": "false", "http.proxy": "", "credential.helper": "", "credential.interactive": "false",
    "protocol.allow": "never", "protocol.https.allow": "always", "transfer.fsckObjects": "true", "fetch.fsckObjects": "true",
    "core.hooksPath": os.devnull, "core.fsmonitor": "false", "core.symlinks": "false", "core.attributesFile": os.devnull,
    "submodule.recurse": "false", "gc.auto": "0", "maintenance.auto": "false", "pack.threads": "1", "core.askPass": "false",
    "http.lowSpeedLimit": "1000", "http.lowSpeedTime": "30", "advice.detachedHead": "false",
}  # fmt: skip
ENVIRONMENT = {
    "PATH": PLACES, "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull, "GIT_ATTR_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false", "GIT_SSH_COMMAND": "false", "GIT_PROTOCOL_FROM_USER": "0", "GIT_NO_LAZY_FETCH": "1",
    "HOME": os.devnull,
}  # fmt: skip


class HostNotNamed(Refused):
    """Nothing is cloned from {host}: the owner allows {allowed} (TIMMY_GIT_HOSTS)."""


class RepositoryThere(UserError):
    """The workspace has a {name} already. Say another name for it."""

    status = 409


class RepositoryUnnamed(UserError):
    """{name} cannot be the name of a repository's folder: use letters, digits, dot, dash and underscore."""


class RepositoryTooLarge(UserError):
    """The repository is larger than the {limit} MB that are taken. Clone it yourself into the workspace."""

    status = 413


class NotCloned(Unavailable):
    """{host} gave no repository: {why}."""


@dataclass(frozen=True, slots=True)
class Most:
    """How long a clone may take, and how many bytes it may have on the disk."""

    seconds: float = 120.0
    size: int = 200_000_000


class Repositories:
    """Those of some hosts. `reach`, `resolver`, and `trust` (whose certificates are believed) are for tests."""

    def __init__(  # noqa: PLR0913 - all but three are for tests
        self, workspace: Path, hosts: Collection[str], ids: IdSource, most: Most | None = None, *,
        reach: Reach | None = None, resolver: AbstractResolver | None = None, trust: Path | None = None,
    ) -> None:  # fmt: skip
        self._workspace = workspace
        self.hosts = frozenset(host.lower() for host in hosts)
        self._ids = ids
        self._most = most or Most()
        self._reach = reach or Reach()
        self._resolver = resolver
        self._trust = {} if trust is None else {"http.sslCAInfo": str(trust)}
        self._turn = asyncio.Lock()

    async def clone(self, url: str, name: str = "", *, again: bool = False) -> str:
        """Clone into a folder of the workspace, under its own name or another; returns that.

        `again`: what is there already, and was cloned from there, is it.

        Raises the errors of this module, and what `checked` and the connection do.
        """
        target, place = self._meant(url, name)
        passing = self._workspace / f"{_PASSING}{self._ids.token(6)}"
        async with self._turn:
            await asyncio.to_thread(self._sweep)
            if again and await asyncio.to_thread(_is_clone, place, str(target)):
                return place.name
            await asyncio.to_thread(_refuse_there, place)
            try:
                await self._fetched(target, passing)
                await asyncio.to_thread(_appear, passing, place)
            finally:
                await asyncio.to_thread(self._sweep)
        return place.name

    async def look(self, url: str, name: str = "") -> None:
        """Raise what keeps it from being cloned, as far as that is seen without asking anybody, a server of names included."""
        await asyncio.to_thread(_refuse_there, self._meant(url, name)[1])

    def _meant(self, url: str, name: str) -> tuple[URL, Path]:
        """The address, and the folder to be."""
        target = checked(url.strip(), self._reach)
        host = target.raw_host or ""
        if host.lower() not in self.hosts:
            raise HostNotNamed(host=host, allowed=", ".join(sorted(self.hosts)) or "no host")
        name = name or re.sub(r"\.git$", "", target.name)
        if not _NAME.fullmatch(name) or name.endswith((".lock", ".")):
            raise RepositoryUnnamed(name=repr(name[:80]))
        return target, self._workspace / name

    def _sweep(self) -> None:
        """Nothing is being cloned now: what is here, a crash left behind, or a clone that failed."""
        for left in self._workspace.glob(f"{_PASSING}*"):
            shutil.rmtree(left, ignore_errors=True)

    async def _fetched(self, url: URL, place: Path) -> None:
        host, port = url.raw_host or "", url.port or 443
        try:
            async with asyncio.timeout(self._most.seconds):
                addresses = await self._addresses(host, port)
                rules = {**RULES, **self._trust, "http.curloptResolve": f"{host}:{port}:{','.join(addresses)}"}
                if self._reach.loopback:
                    rules["protocol.http.allow"] = "always"
                await self._run(host, place, rules, str(url))
        except TimeoutError:
            raise NotCloned(host=host, why=f"it took longer than {self._most.seconds:g} s") from None

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a name, each of them one that may be fetched from."""
        resolver = Checked(self._resolver or ThreadedResolver(), self._reach, allowed=False)
        try:
            found = await resolver.resolve(host, port)
        except OSError:
            raise PageNotReached(host=host, why="its name is not known") from None
        literals = [ip_address(result["host"].partition("%")[0]) for result in found]
        return list(dict.fromkeys(f"[{one}]" if one.version == 6 else str(one) for one in literals))  # noqa: PLR2004

    async def _run(self, host: str, place: Path, rules: Mapping[str, str], url: str) -> None:
        options = [word for key, value in rules.items() for word in ("-c", f"{key}={value}")]
        git = await asyncio.create_subprocess_exec(
            "git", *options, "clone", "--quiet", "--no-tags", "--single-branch", f"--depth={COMMITS}", "--template=",
            "--no-recurse-submodules", "--no-local", "--config", "core.symlinks=false", "--", url, str(place),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            cwd=self._workspace, start_new_session=True,
            env=ENVIRONMENT,
        )  # fmt: skip
        _bound(git.pid, self._most.size)
        said = bytearray()
        try:
            reading = asyncio.ensure_future(_read(git, said))  # noqa: TID251 - it ends with the program, below
            while not (await asyncio.wait({reading}, timeout=_LOOK_SECONDS))[0]:
                self._weigh(await asyncio.to_thread(_weight, place))
            status = await git.wait()
        finally:
            _end(git)
            await reading
            await git.wait()
        self._weigh(await asyncio.to_thread(_weight, place))
        if status:
            if (
                f"died of signal {signal.SIGXFSZ.value}".encode() in said
            ):  # at the bound of one file, sooner than was looked
                raise RepositoryTooLarge(limit=self._most.size // 10**6)
            raise NotCloned(host=host, why=_complaint(bytes(said), url))

    def _weigh(self, weight: int) -> None:
        if weight > self._most.size:
            raise RepositoryTooLarge(limit=self._most.size // 10**6)


def _bound(process: int, size: int) -> None:
    """What it, and what it starts from now on, may use; where the system can be told so of another process."""
    if sys.platform == "linux":
        with suppress(OSError, ValueError):
            resource.prlimit(process, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size, size))
            resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))


async def _read(git: Process, said: bytearray) -> None:
    assert git.stderr is not None  # noqa: S101 - it is a pipe, as asked for
    while piece := await git.stderr.read(4096):
        if len(said) < 4096:  # noqa: PLR2004 - the first is what went wrong
            said += piece


def _end(git: Process) -> None:
    """End it with what it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(git.pid, signal.SIGKILL)


def _weight(place: Path) -> int:
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):  # it comes and goes
                total += Path(folder, name).lstat().st_blocks * _BLOCK
    return total


def _is_clone(place: Path, url: str) -> bool:
    """Whether git has written there that it is a clone of this."""
    with suppress(OSError), (place / ".git/config").open("rb") as file:
        return f"\turl = {url}\n".encode() in file.read(_LARGEST_CONFIG)
    return False


def _refuse_there(place: Path) -> None:
    if os.path.lexists(place):
        raise RepositoryThere(name=place.name)


def _appear(passing: Path, place: Path) -> None:
    _refuse_there(place)
    try:
        passing.rename(place)
    except OSError as error:
        raise DiskFull(why=error.strerror) from error


def _complaint(said: bytes, url: str) -> str:
    lines = said.decode(errors="replace").replace(url, "it").splitlines()
    found = next((line for line in lines if line.startswith("fatal: ")), lines[-1] if lines else "git said nothing")
    return found.removeprefix("fatal: ").rstrip(".")
