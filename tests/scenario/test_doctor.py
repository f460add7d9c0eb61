"""`timmy doctor`: each check fails where something is wrong, by its stable id, and nothing else does."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import socket
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from adapters.clockwork import SystemClock
from adapters.console.link import SOCKET
from adapters.lightning.simulated_file import NodeGone
from adapters.sqlite.connection import connect
from adapters.sqlite.writer import Database
from adapters.web.reach import unreached
from bot.cli import status_of
from bot.doctor import Asked, ask, examine, misconfigured, report
from bot.doctor_money import ask_money, gate, lightning
from bot.doctor_redis import ask_redis, redis
from bot.findings import Severity
from bot.parts.far import RedisLook
from bot.parts.looks import DATABASE
from bot.parts.nodes import NODE
from config.settings import (
    BadSetting,
    Http,
    Lightning,
    Lnd,
    Matrix,
    McpGroup,
    Ollama,
    RedisGroup,
    Serve,
    Shortcuts,
    Speech,
    Telegram,
)
from core.money import to_msat
from core.wallet.ledger import EXTERNAL, transfer, user_account
from tests.depth import first
from tests.lnd_node import Node
from tests.lnd_server import LndServer
from tests.matrix_server import BOT, PASSWORD, MatrixServer
from tests.ollama_server import OllamaServer
from tests.program import Program
from tests.redis_server import RedisServer
from tests.scenario.bot import hub, settings
from tests.scenario.shortcuts import mint
from tests.scenario.test_matrix import OLGA

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.findings import Finding
    from config.settings import Settings

STATUS: dict[str, Any] = {
    "uptime_s": 5, "faults": [], "parts": {"events": {"up": True, "why": ""}}, "dead_letters": 0, "advice": {},
}  # fmt: skip
ASKED = Asked(window=131_072)


def wrong(found: Settings, status: Any = None, env: Path = Path("no.env"), asked: Asked = ASKED) -> dict[str, Finding]:
    """What is wrong, by id."""
    known = status and {"settings": found.fingerprint()} | status
    return {one.id: one for one in examine(found, known, asked, env) if not one.ok}


async def used(folder: Path) -> Settings:
    """The settings of a data folder that a hub has used."""
    async with hub(folder) as bot:
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        return bot.app.settings.model_copy(update={"speech": Speech(tts="off")})


async def test_a_good_set_up_has_nothing_wrong_and_says_what_was_looked_at(tmp_path: Path) -> None:
    found = await used(tmp_path)
    findings = examine(found, STATUS | {"settings": found.fingerprint()}, ASKED, Path("no.env"))
    assert [one for one in findings if not one.ok] == []
    assert {
        "data.folder", "data.private", "data.disk", "workspace.usable", "books.network", "books.balance", "machine.clock",
        "escrow.obeyed", "tasks.stuck", "money.left", "events.stuck", "model.tools",
        "http.bind", "http.public", "http.hosts", "http.proxy", "hub.running", "hub.settings", "part.events",
        "database.writer", "lightning.sats", "model.ready", "model.window", "messages.given_up", "speech.hears", "speech.speaks",
    } == {one.id for one in findings}  # fmt: skip
    assert all(one.says and not one.fix for one in findings)
    facts = json.loads(report(findings, as_json=True))
    assert facts["ok"] is True
    assert set(facts["checks"][0]) == {"id", "ok", "severity", "says", "fix"}
    assert report(findings, as_json=False).startswith("26 checks, nothing wrong")


def _loosened(folder: Path) -> None:
    (folder / "data" / DATABASE).chmod(0o644)


def _unbalanced(folder: Path) -> None:
    with closing(connect(folder / "data" / DATABASE)) as connection:
        connection.execute("UPDATE account SET posted = posted + 1000 WHERE name = 'treasury'")


def _ahead(folder: Path) -> None:
    with closing(connect(folder / "data" / DATABASE)) as connection:
        connection.execute("UPDATE event SET at = 99999999999999")


def _no_workspace(folder: Path) -> None:
    shutil.rmtree(folder / "workspace")
    (folder / "workspace").write_text("no folder")


def _gone(folder: Path) -> None:
    shutil.rmtree(folder / "data")


def _somebodys(folder: Path) -> None:
    _gone(folder)
    (folder / "data").mkdir(mode=0o755)
    (folder / "data" / "taxes.txt").write_text("mine")


def _damaged(folder: Path) -> None:
    """A page that the proof of the books does not read."""
    path = folder / "data" / DATABASE
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'outgoing'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def _unused(folder: Path) -> None:
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "hub.lock").touch(mode=0o600)


@pytest.mark.parametrize(
    ("name", "spoil", "severity", "words"),
    first(
        3,
        [
            ("data.private", _loosened, Severity.ERROR, "others may read"),
            ("books.balance", _unbalanced, Severity.ERROR, "treasury"),
            ("machine.clock", _ahead, Severity.ERROR, "ahead of this machine's clock"),
            ("workspace.usable", _no_workspace, Severity.ERROR, "cannot be used"),
            ("data.folder", _gone, Severity.WARNING, "is not there"),
            ("data.folder", _somebodys, Severity.ERROR, "none of Timmy, and was left alone"),
            ("books.balance", _damaged, Severity.ERROR, "database is damaged"),
            ("books.balance", _unused, Severity.WARNING, "there are no books"),
        ],
    ),
)
async def test_a_fault_on_the_disk_is_found(
    tmp_path: Path, name: str, spoil: Callable[[Path], None], severity: Severity, words: str
) -> None:
    found = await used(tmp_path)
    spoil(tmp_path)
    faults = wrong(found, STATUS)
    assert set(faults) == {name}
    assert (faults[name].severity, words in faults[name].says) == (severity, True), faults[name]
    assert faults[name].fix
    assert "chmod" not in faults[name].fix or name == "data.private"


@pytest.mark.parametrize("closed", [True, False])
def test_a_folder_of_somebody_else_is_found(closed: bool) -> None:
    with tempfile.TemporaryDirectory() as there:
        _theirs(Path(there), closed=closed)


def _theirs(folder: Path, *, closed: bool) -> None:
    found = settings(folder).model_copy(update={"shortcuts": Shortcuts(enabled=True), "speech": Speech(tts="off")})
    found.data_dir.mkdir(mode=0o700)
    (found.data_dir / DATABASE).touch()
    (folder if closed else found.data_dir).chmod(0)
    if not closed:
        folder.chmod(0o755)
    is_root = os.geteuid() == 0  # who may look everywhere
    if is_root:
        os.setresuid(65534, 65534, 0)
    try:
        faults = wrong(found, STATUS)
    finally:
        if is_root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o700)
        found.data_dir.chmod(0o700)
    assert set(faults) == {"data.folder", "shortcuts.reachable", *(["workspace.usable"] if closed else [])}
    assert "Run this as its owner" in faults["data.folder"].fix


@pytest.mark.long
@pytest.mark.parametrize(("free", "severity"), [(10 << 20, Severity.ERROR), (500 << 20, Severity.WARNING)])
async def test_a_disk_that_is_nearly_full_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, severity: Severity
) -> None:
    found = await used(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("bot.doctor.shutil.disk_usage", lambda _: usage._replace(free=free))
    assert {name: one.severity for name, one in wrong(found, STATUS).items()} == {"data.disk": severity}


@pytest.mark.long
async def test_what_a_start_would_refuse_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    other = found.model_copy(update={"lightning": Lightning.model_validate({"backend": "lnd"})})
    assert set(wrong(other, STATUS)) == {"books.network"}
    _unused(tmp_path)
    faults = wrong(other, STATUS)
    assert {name: one.severity for name, one in faults.items()} == {"books.balance": Severity.WARNING}
    found = await used(tmp_path)
    (found.data_dir / DATABASE).rename(tmp_path / "kept.db")
    gone = wrong(found, STATUS)["books.balance"]
    assert (gone.severity, "is gone, and its folder was used before" in gone.says) == (Severity.ERROR, True)
    assert gone.fix.startswith("Put a backup back, or")
    (tmp_path / "kept.db").rename(found.data_dir / DATABASE)
    nested = found.model_copy(update={"workspace": found.data_dir / "workspace"})
    assert set(wrong(nested, STATUS)) == {"workspace.usable"}
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        port = taken.getsockname()[1]
        busy = found.model_copy(update={"http": Http(port=port)})
        asked = await ask(busy, runs=False)
        assert set(wrong(busy, None, asked=asked)) == {"model.ready", "http.port", "hub.running"}
        assert f"Port {port} on 127.0.0.1 is in use" in asked.port
    assert (await ask(busy, runs=False)).port == ""


@pytest.mark.parametrize("answer", [b"{", b"[" * 100_000, b"\xff", b"[]", b"{}"])
async def test_what_is_no_hub_at_the_public_address_is_said_so(answer: bytes) -> None:
    async def say(_: web.Request) -> web.Response:
        return web.Response(body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_get("/healthz", say)
    async with TestServer(app, host="127.0.0.1") as server:
        url = str(server.make_url("/"))
        assert await unreached(url) == f"what answers at {url} is not this hub (status 200)"


@pytest.mark.long
async def test_what_is_open_to_others_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    env = tmp_path / ".env"
    env.write_text("TIMMY_TELEGRAM_TOKEN=x")
    env.chmod(0o644)
    open_to = found.model_copy(update={"http": Http(host="192.168.0.7", public_url="http://hub.lan")})
    assert set(wrong(open_to, STATUS, env)) == {"http.bind", "http.public", "settings.private"}
    env.chmod(0o600)
    assert wrong(found, STATUS, env) == {}
    hosts = Http(allowed_hosts="https://hub.lan, *.lan, hub.lan:8080, [::1]", trusted_proxy="0.0.0.0/0")
    faults = wrong(found.model_copy(update={"http": hosts}), STATUS, env)
    assert set(faults) == {"http.hosts", "http.proxy"}
    assert "sends *.lan, https://hub.lan as" in faults["http.hosts"].says


async def test_a_surface_that_nobody_owns_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    telegram = Telegram(token="123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11")
    matrix = Matrix(homeserver="https://m.example.org", user="@t:example.org", password="x")
    both = found.model_copy(update={"telegram": telegram, "matrix": matrix})
    assert set(wrong(both, STATUS)) == {"telegram.owner", "matrix.owner"}
    assert set(wrong(both.model_copy(update={"owner": "telegram:5"}), STATUS)) == {"matrix.owner"}


@pytest.mark.long
async def test_what_an_owner_left_in_an_account_of_their_own_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    named = found.model_copy(update={"owner": "telegram:5"})
    assert wrong(named, STATUS) == {}
    async with hub(tmp_path) as bot:
        target = user_account("telegram:5")
        entry = transfer("earned", "grant", EXTERNAL, target, to_msat(300), task=None, actor="hub", reason="")
        await bot.app.store.write(lambda tx: tx.ledger.append(entry))
    (left,) = wrong(named, STATUS).values()
    assert (left.id, left.severity) == ("owners.wallet", Severity.WARNING)
    assert left.says == "telegram:5 has 300 sats in an account of their own"


@pytest.mark.long
async def test_an_engine_of_speech_that_was_chosen_and_is_missing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, models = await used(tmp_path), tmp_path / "models"
    monkeypatch.setenv("PATH", str(tmp_path))
    speaks = wrong(found.model_copy(update={"speech": Speech()}), STATUS)
    assert {name: one.severity for name, one in speaks.items()} == {"speech.speaks": Severity.WARNING}
    assert "apt install espeak-ng" in speaks["speech.speaks"].says
    brought = found.model_copy(update={"speech": Speech(stt="whisper", tts="off", model_dir=models)})
    assert set(wrong(brought, STATUS)) == {"speech.hears", "speech.models"}
    models.mkdir()
    assert set(wrong(brought, STATUS)) == {"speech.hears"}


@pytest.mark.long
async def test_shortcuts_that_no_phone_reaches_or_that_speak_for_nobody_are_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    on = found.model_copy(update={"shortcuts": Shortcuts(enabled=True)})
    assert set(wrong(on, STATUS)) == {"shortcuts.reachable", "shortcuts.token"}
    assert set(wrong(found, STATUS)) == set()
    reached = on.model_copy(update={"http": Http(public_url="https://hub.example.org")})
    async with hub(tmp_path, found=found) as bot:
        await mint(bot.app, "phone")
        assert wrong(reached, STATUS) == {}
        here = on.model_copy(update={"http": Http(public_url=bot.app.address)})
        assert (await ask(here, runs=True)).outside == ""
    gone = await ask(here, runs=True)
    assert set(wrong(reached, STATUS, asked=Asked(outside=gone.outside))) == {"shortcuts.reachable"}
    assert "on a phone it is the phone" in wrong(here, STATUS)["shortcuts.reachable"].says
    assert gone.outside == f"nothing answers at {here.http.public_url}: {os.strerror(errno.ECONNREFUSED)}"
    async with hub(tmp_path, found=found) as bot:
        await mint(bot.app, "anns", "telegram:11")
    faults = wrong(reached, STATUS)
    assert set(faults) == {"shortcuts.account", "shortcuts.home"}
    assert "anns for telegram:11" in faults["shortcuts.account"].says
    assert "anns asks telegram:11, whose chat is off" in faults["shortcuts.home"].says
    assert all(one.severity is Severity.WARNING and one.fix for one in faults.values())
    telegram = Telegram(token="123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11")
    assert wrong(reached.model_copy(update={"owner": "telegram:11", "telegram": telegram}), STATUS) == {}


async def test_a_node_that_is_away_is_anothers_or_gives_too_few_rights_is_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    found = settings(tmp_path).model_copy(update={"lightning": Lightning.model_validate({"backend": "lnd"})})
    async with LndServer.running(Node(lambda: 1_750_000_000)) as server:
        read, receive, pay = server.three()

        async def faults(receive: str, read: str = read) -> dict[str, Finding]:
            lnd = Lnd(url=server.url, macaroon_read=read, macaroon_receive=receive, macaroon_pay=pay)
            asked = await ask(found.model_copy(update={"lnd": lnd}), runs=True)
            checks = list(lightning(found, asked.money, runs=True))
            assert ("test network" in checks[0].says) == (not asked.money.failed)
            return {one.id: one for one in checks if not one.ok}

        assert await faults(receive) == {}
        server.node.synced = False
        late = (await faults(receive))["lightning.synced"]
        assert (late.severity, "its newest block is 840,000" in late.says) == (Severity.WARNING, True)
        server.node.synced = True
        few = (await faults(server.bake("uri:/lnrpc.Lightning/AddInvoice")))["lightning.rights"]
        assert "TIMMY_LND_MACAROON_RECEIVE may not LookupInvoiceV2, AddHoldInvoice" in few.says
        assert few.severity is Severity.ERROR
        assert "MACAROON_READ is wrong" in (await faults(receive, server.bake("offchain:write")))["lightning.node"].says
        async with Database.open(tmp_path / "data" / DATABASE, SystemClock()) as store:
            await store.write(lambda tx: tx.books.found("bitcoin", "02" + "7" * 64, tx.now))
        theirs = (await faults(receive))["lightning.node"]
        assert (theirs.severity, "another folder" in theirs.fix) == (Severity.ERROR, True)
    gone = (await faults(receive))["lightning.node"]
    assert (gone.severity, os.strerror(errno.ECONNREFUSED) in gone.says) == (Severity.WARNING, True)


@pytest.mark.long
async def test_a_simulated_node_that_was_changed_or_taken_away_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    path = tmp_path / "data" / NODE

    async def check(*, runs: bool = False) -> dict[str, Finding]:
        before = path.read_bytes() if path.exists() else None
        checks = list(lightning(found, await ask_money(found, runs=runs), runs=runs))
        assert before == (path.read_bytes() if path.exists() else None), "it looks and changes nothing"
        return {one.id: one for one in checks}

    assert [(one.id, one.ok) for one in (await check()).values()] == [
        ("lightning.sats", True), ("lightning.node", True), ("lightning.books", True),
    ]  # fmt: skip
    with closing(sqlite3.connect(path)) as node, node:
        node.execute(
            "INSERT INTO movement SELECT NULL, NULL, -7, balance - 7, at FROM movement ORDER BY id DESC LIMIT 1"
        )
    for runs, fix in ((True, "/reconcile says more"), (False, "Start the hub")):
        less = (await check(runs=runs))["lightning.books"]
        assert (less.severity, less.says) == (Severity.WARNING, "the node has 7 msat less than the books say")
        assert less.fix.startswith(fix)
    with closing(sqlite3.connect(path)) as node, node:
        node.execute("UPDATE node SET public = '02' || substr(public, 1, 64)")
    other = await check()
    assert "lightning.books" not in other
    assert (other["lightning.node"].severity, "belong to simulated" in other["lightning.node"].says) == (
        Severity.ERROR,
        True,
    )
    assert "put its node.db back" in other["lightning.node"].fix
    path.write_bytes(b"garbage" * 1000)
    damaged = (await check())["lightning.node"]
    assert (damaged.severity, "node.db is damaged" in damaged.says) == (Severity.ERROR, True)
    assert "restore a backup of the whole data folder" in damaged.fix
    for take in (lambda: path.write_bytes(b""), path.unlink):
        take()
        assert "node.db is not there" in (await check())["lightning.node"].says
        with pytest.raises(NodeGone):
            async with hub(tmp_path):
                pass  # another node would have been made in its place


@pytest.mark.long
async def test_a_gate_that_cannot_sell_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        port = taken.getsockname()[1]
        sells = found.model_copy(update={"serve": Serve(enabled=True, port=port)})
        asked = await ask(sells, runs=False)
        assert "gate.port" in wrong(sells, None, asked=asked)
        assert "TIMMY_SERVE_PORT" in wrong(sells, None, asked=asked)["gate.port"].fix
    cheap = found.model_copy(update={"serve": Serve(enabled=True, port=port, price=7)})
    assert "none of the hub's own agents does a task for 7 sats" in wrong(cheap, None, asked=asked)["gate.price"].says
    assert "gate.price" not in wrong(sells, None, asked=asked)
    both = sells.model_copy(update={"http": Http(port=port)})
    assert "own port" in wrong(both, None, asked=await ask(both, runs=False))["gate.port"].says
    assert (await ask(sells, runs=True)).money.outside.startswith(f"nothing answers at http://127.0.0.1:{port}")
    async with hub(tmp_path, found=sells):
        assert (await ask(sells, runs=True)).money.outside == ""
    by_hand = found.model_copy(update={"serve": Serve(port=port)})
    async with hub(tmp_path, found=by_hand) as bot:
        assert list(gate(by_hand, await ask_money(by_hand, runs=True), runs=True)) == []
        opened = await bot.app.serving.open()
        reached, price, proxy = gate(by_hand, await ask_money(by_hand, runs=True, listens=opened.address), runs=True)
        assert (reached.ok, price.ok, proxy.ok) == (True, True, True)
        assert price.says == "TIMMY_SERVE_PRICE is 100 sats a call"  # the gate was opened by hand, at any price
        assert reached.says.endswith(
            f"{opened.address}, to this machine alone, until the hub stops: timmy-serve start opened it"
        )
    other = sells.model_copy(update={"serve": Serve(enabled=True, host="::1", port=port)})
    assert (await ask(other, runs=True)).money.outside.startswith(f"nothing answers at http://[::1]:{port}")
    public = sells.model_copy(update={"serve": Serve(enabled=True, port=port, public_url="https://sell.example.org")})
    assert set(wrong(public, STATUS)) == {"gate.proxy", "lightning.sats"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("but", "name", "severity"),
    [
        (None, "hub.running", Severity.WARNING),
        ({"parts": {"clock": {"up": False, "why": "it broke"}}}, "part.clock", Severity.ERROR),
        ({"faults": ["events is deaf: no poll"]}, "part.events", Severity.ERROR),
        ({"faults": ["the database writer is stuck"]}, "database.writer", Severity.ERROR),
        ({"dead_letters": 2}, "messages.given_up", Severity.WARNING),
        ({"settings": "others"}, "hub.settings", Severity.WARNING),
        ({"advice": {"matrix": ["no signature"]}}, "matrix.advice", Severity.WARNING),
    ],
)
async def test_what_the_hub_knows_of_itself_is_told(tmp_path: Path, but: Any, name: str, severity: Severity) -> None:
    found = await used(tmp_path)
    faults = wrong(found, None if but is None else STATUS | but)
    assert {one: fault.severity for one, fault in faults.items()} == {name: severity}


def test_a_hub_that_does_not_answer_is_not_taken_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that was stopped with SIGSTOP: its port is its own."""
    monkeypatch.setattr("adapters.console.client.HELLO_SECONDS", 0.05)
    asyncio.run(used(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as own, socket.socket(socket.AF_UNIX) as stopped:
        found = settings(tmp_path).model_copy(
            update={"http": Http(port=own.getsockname()[1]), "speech": Speech(tts="off")}
        )
        (found.data_dir / SOCKET).unlink(missing_ok=True)
        stopped.bind(str(found.data_dir / SOCKET))
        (found.data_dir / SOCKET).chmod(0o600)
        stopped.listen()
        (found.data_dir / "hub.lock").write_text("4711")
        status, deaf = status_of(found)
        asked = asyncio.run(ask(found, runs=status is not None, deaf=deaf))
    faults = wrong(found, status, asked=replace(asked, model="", window=131_072))
    assert list(faults) == ["hub.running"]
    assert faults["hub.running"].severity is Severity.ERROR
    assert faults["hub.running"].says == "The hub (pid 4711) does not answer, and nothing was sent to it"
    assert faults["hub.running"].fix.startswith("Try again, or end that process")


async def test_a_hub_that_timmy_serve_started_may_have_other_settings(tmp_path: Path) -> None:
    found = await used(tmp_path)
    other = STATUS | {"settings": "others"}
    assert wrong(found, other)["hub.settings"].fix == "Start it anew."
    assert "timmy-serve" in wrong(found, other | {"gate": "http://127.0.0.1:8402"})["hub.settings"].fix


@pytest.mark.long
async def test_a_model_that_is_not_there_or_is_asked_for_more_than_it_has_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    (missing,) = wrong(found, STATUS, asked=Asked(model="No model answers at http://x. Start Ollama.")).values()
    assert (missing.id, missing.severity) == ("model.ready", Severity.WARNING)
    async with OllamaServer.running("llama3.2:latest") as server:
        asks = found.model_copy(update={"ollama": Ollama(url=server.url, num_ctx=8192)})
        assert wrong(asks, STATUS, asked=await ask(asks, runs=True)) == {}
        server.window = None
        assert wrong(asks, STATUS, asked=await ask(asks, runs=True)) == {}
        server.window = 4096
        (narrow,) = wrong(asks, STATUS, asked=await ask(asks, runs=True)).values()
        assert (narrow.id, narrow.severity, "TIMMY_OLLAMA_NUM_CTX=4096" in narrow.fix) == (
            "model.window",
            Severity.WARNING,
            True,
        )
    assert "model.ready" in wrong(asks, STATUS, asked=await ask(asks, runs=True))


async def test_a_model_that_is_missing_is_found_though_its_server_was_too_busy_for_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(_: object) -> None:
        """Not answered in time, which is no fault yet."""

    monkeypatch.setattr("bot.parts.models.OllamaModel.check", busy)
    found = await used(tmp_path)
    async with OllamaServer.running("llama3.2:latest") as server:
        asks = found.model_copy(update={"ollama": Ollama(url=server.url, model="mistral")})
        assert "model.ready" in wrong(asks, STATUS, asked=await ask(asks, runs=True))


def test_settings_that_cannot_be_read_are_the_one_finding() -> None:
    found = misconfigured(BadSetting(key="TIMMY_HTTP_PORT", why="it is no number"))
    assert (found.id, found.ok, found.severity) == ("settings.valid", False, Severity.ERROR)
    assert "TIMMY_HTTP_PORT" in report([found], as_json=False)


async def test_the_program_asks_the_hub_that_runs_and_exits_with_what_it_found(tmp_path: Path) -> None:
    async with MatrixServer() as server:
        server.meet(BOT, seed=7)
        found = settings(tmp_path).model_copy(
            update={"matrix": Matrix(homeserver=server.url, user=BOT, password=PASSWORD), "owner": f"matrix:{OLGA}"}
        )
        env = {key: value for key, value in os.environ.items() if not key.startswith("TIMMY_")} | {
            "TIMMY_DATA_DIR": str(found.data_dir), "TIMMY_WORKSPACE": str(found.workspace),
        }  # fmt: skip
        async with hub(tmp_path, found=found) as bot:
            surface: Any = next(one for one in bot.app.health.surfaces if one.name == "matrix")
            await bot.see(lambda: surface.advice, "the fault", pace=0)
            process = await Program.fork("doctor", "--json", env=env)
            out, _, code = await process.communicate()
            checks = {one["id"]: one for one in json.loads(out)["checks"]}
            assert "cross-signing keys from another client" in checks["matrix.advice"]["says"]
            assert checks["part.matrix"]["ok"] is True
            assert code == (not json.loads(out)["ok"])
        process = await Program.fork("doctor", env=env | {"TIMMY_HTTP_PORT": "x"})
        out, _, code = await process.communicate()
        assert (code, b"settings.valid" in out) == (1, True)


async def test_a_node_that_is_set_up_and_not_chosen_is_found(tmp_path: Path) -> None:
    found = await used(tmp_path)
    lnd = found.model_copy(update={"lnd": Lnd(url="https://127.0.0.1:8080")})
    fault = wrong(lnd, STATUS)["lightning.sats"]
    assert "TIMMY_LIGHTNING_BACKEND=lnd" in fault.fix
    assert fault.severity is Severity.WARNING


async def test_redis_is_asked_as_the_hub_would_and_nothing_is_written(tmp_path: Path) -> None:
    async with RedisServer.running("sesame") as server:
        found = await _redis(tmp_path, server.url)
        assert [(one.id, one.ok) for one in found] == [
            (f"redis.{name}", True) for name in ("answers", "keeps", "private")
        ]
        assert found[0].says == f"7.0.15 at 127.0.0.1, port {server.port}"
        assert not server.kept
        server.facts |= {"maxmemory": "1000", "maxmemory_policy": "allkeys-lru"}
        (evicts,) = [one for one in await _redis(tmp_path, server.url) if not one.ok]
        assert (evicts.id, evicts.severity) == ("redis.keeps", Severity.WARNING)
        assert "allkeys-lru" in evicts.says
        for facts, says in (
            ({"role": "slave"}, "is a replica and takes no writes"),
            ({"redis_version": "6.0.16"}, "cannot do what is needed: it is version 6.0.16"),
        ):
            server.facts |= facts
            (unfit,) = [one for one in await _redis(tmp_path, server.url) if not one.ok]
            assert (unfit.id, unfit.severity) == ("redis.answers", Severity.ERROR)
            assert says in unfit.says
        server.ails = "limited"
        assert all(one.ok for one in await _redis(tmp_path, server.url)), "a user need not be allowed to ask that"
        (refuses,) = [one for one in await _redis(tmp_path, server.url.replace("sesame", "s3same")) if not one.ok]
        assert "refuses the name or password in TIMMY_REDIS_URL" in refuses.says
        assert "s3same" not in f"{refuses}"
    (gone,) = [one for one in await _redis(tmp_path, server.url) if not one.ok]
    assert "does not answer: Connection refused" in gone.says
    assert await _redis(tmp_path, "") == []
    elsewhere = settings(tmp_path).model_copy(update={"redis": RedisGroup(url=SecretStr("redis://10.0.0.7:6379/0"))})
    (open_to_all,) = [one for one in redis(elsewhere, RedisLook("10.0.0.7, port 6379", "7.0.15")) if not one.ok]
    assert (open_to_all.id, open_to_all.severity) == ("redis.private", Severity.WARNING)


async def _redis(folder: Path, url: str) -> list[Finding]:
    found = settings(folder).model_copy(update={"redis": RedisGroup(url=SecretStr(url))} if url else {})
    return list(redis(found, await ask_redis(found)))


MCP_FILES: list[tuple[str, int, set[str]]] = [
    ('{"mcpServers": {"a": {"command": "sh"}, "b": {"url": "http://127.0.0.1:9/mcp"}}}', 0o644, set()),
    ('{"mcpServers": {"a": {"command": "no-such-program"}}}', 0o644, {"mcp.programs"}),
    ('{"mcpServers": {"a": {"command": "sh", "env": {"KEY": "secret"}}}}', 0o600, set()),
    ('{"mcpServers": {"a": {"command": "sh", "env": {"KEY": "secret"}}}}', 0o640, {"mcp.private"}),
    ('{"mcpServers": []}', 0o600, {"mcp.servers"}),
]


@pytest.mark.parametrize(("text", "mode", "ids"), first(2, MCP_FILES))
async def test_the_file_of_mcp_servers_is_looked_at(tmp_path: Path, text: str, mode: int, ids: set[str]) -> None:
    found = (await used(tmp_path)).model_copy(update={"mcp": McpGroup(servers=tmp_path / "mcp.json")})
    (tmp_path / "mcp.json").write_text(text)
    (tmp_path / "mcp.json").chmod(mode)
    assert set(wrong(found, STATUS)) == ids
