"""Strangers at the gate of a whole hub, over real HTTP: offers, payments, talk and work, and everything that is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from adapters.web import l402_gate, l402_reading
from adapters.web.errors import PortInUse
from bot.serving import OpenAlready, OwnPort
from config.settings import Http, Serve
from core.agent.model import ModelUnreachable
from core.swarm.ports import ResultFile
from tests.cashier import FakeCashier
from tests.fakes import FakeClock
from tests.kill.story import Parrot
from tests.ollama_server import OllamaServer, Wire
from tests.scenario.bot import NOBODY, Hands, balances, hub, prove, settings
from tests.scenario.strangers import Stranger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot


class Mute(Parrot):
    """A model that is there when it is looked for, and gone when it is asked."""

    async def chat(self, *_: Any, **__: Any) -> AsyncGenerator[str, None]:
        raise ModelUnreachable(url=NOBODY)
        yield ""


@asynccontextmanager
async def selling(
    folder: Path,
    *,
    cashier: FakeCashier | None = None,
    ollama: str = NOBODY,
    clock: FakeClock | None = None,
    **parts: Any,
) -> AsyncIterator[tuple[Bot, Stranger]]:
    """A hub with its gate open, and a stranger before it."""
    clock = clock or FakeClock()
    cashier = cashier or FakeCashier(clock)
    found = settings(folder, ollama=ollama).model_copy(update={"serve": Serve(enabled=True, port=0)})
    async with hub(folder, found=found, clock=clock, cashier=cashier, **parts) as bot:
        cashier.store = bot.app.store
        stranger = Stranger(cashier)
        stranger.base = bot.app.serving.gate.address
        yield bot, stranger


async def done(bot: Bot, stranger: Stranger, task: str) -> Any:
    """A task's facts once it is over."""
    said = await stranger.ask("GET", f"/v1/tasks/{task}")
    while said.body["status"] not in {"settled", "failed"}:
        bot.pass_time(0.2)
        await bot.app.store.write(lambda tx: None)
        said = await stranger.ask("GET", f"/v1/tasks/{task}")
    return said.body


async def test_a_stranger_buys_a_task_end_to_end_over_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    cashier = FakeCashier(clock)
    async with selling(tmp_path, cashier=cashier, clock=clock) as (bot, stranger):
        offered = await stranger.task("find the answer")
        assert offered.error == (402, "payment_needed")
        assert "100 simulated sats" in offered.body["error"]["message"]
        assert cashier.memos == ["Timmy: a task for the swarm, 1 call"]
        assert (cashier.made[0].amount, cashier.made[0].expires_at - clock.now()) == (100_000, 600_000)
        assert (await stranger.task("find the answer")).offer == offered.offer  # made once
        stranger.buy(offered)
    async with selling(tmp_path, cashier=cashier, clock=clock) as (bot, again):
        again.token = stranger.token
        posted = await again.task("find the answer")
        assert (posted.status, set(posted.body)) == (202, {"task_id", "status"})
        task = posted.body["task_id"]
        assert posted.headers["Location"] == f"/v1/tasks/{task}"
        facts = await done(bot, again, task)
        assert facts == {
            "task_id": task,
            "status": "settled",
            "result": "quill did find the answer",
            "why": None,
            "files": [],
        }
        assert balances(bot.app.settings)["treasury"] == (100, 0)  # its own persona did it: the price came back
        spent = await again.task("find more")
        assert spent.error == (402, "token_spent")
        assert spent.offer != offered.offer
        other = Stranger(cashier)
        other.base = again.base
        other.buy(spent)
        for path, error, words in (
            (task, (404, "unknown_task"), "There is no task T-1. This token"),
            ("x", (422, "bad_task_id"), "'x' is not a task id"),
        ):  # fmt: skip
            said = await other.ask("GET", f"/v1/tasks/{path}")
            assert said.error == error
            assert words in said.body["error"]["message"]
            assert "/v1/tasks" in said.body["error"]["message"], "they have no chat"
        long = await other.task("x" * 8001)
        assert long.error == (422, "too_many_words")
        assert "workspace" not in long.body["error"]["message"]
        unheard = bot.rows("SELECT requester, account, conversation FROM task")
        assert unheard[0][0].startswith("l402:")
        assert unheard[0][1:] == ("treasury", unheard[0][0])
        assert bot.rows("SELECT count(*) FROM outgoing WHERE surface = 'l402'") == [(0,)]
    prove(settings(tmp_path))


async def test_talk_is_a_conversation_of_the_token_and_costs_a_call_only_when_it_is_answered(tmp_path: Path) -> None:
    async with (
        OllamaServer.running("llama3.2:latest") as model,
        selling(tmp_path, ollama=model.url) as (bot, stranger),
    ):
        stranger.buy(await stranger.ask("POST", "/v1/chat?calls=2"))
        model.says("It is", " four.")
        first = await stranger.chat("What is 2 + 2?", key="a")
        assert (first.status, first.body) == (200, {"response": "It is four."})
        asked = len(model.asked)
        assert (await stranger.chat("What is 2 + 2?", key="a")).body == first.body  # the same, and no call more
        assert (await stranger.chat("What is 2 + 3?", key="a")).error == (422, "key_of_another")
        assert len(model.asked) == asked
        model.says("It is", Wire.BREAK)
        assert (await stranger.chat("and one more?", key="b")).error == (503, "no_answer")
        model.says("Five.")
        assert (await stranger.chat("and one more?", key="b")).body == {"response": "Five."}
        said = [one["content"] for one in model.last["messages"]]
        assert said[1:3] == ["What is 2 + 2?", "It is four."]
        assert (await stranger.chat("more")).error == (402, "token_spent")
        other = Stranger(stranger.cashier)
        other.base = stranger.base
        other.buy(await other.chat("hello"))
        model.says("Hello.")
        await other.chat("hello")
        assert [one["content"] for one in model.last["messages"]][1:] == ["hello"]  # nothing of anybody else
        assert not model.last.get("tools")
        assert bot.rows("SELECT count(*), count(DISTINCT token) FROM l402_call WHERE state = 'used'") == [(3, 2)]


async def test_a_model_that_is_down_costs_nothing_and_its_address_stays_here(tmp_path: Path) -> None:
    async with selling(tmp_path, model=Mute()) as (bot, stranger):
        stranger.buy(await stranger.chat("hello"))
        for _ in range(3):
            said = await stranger.chat("hello")
            assert said.error == (503, "no_answer")
            assert NOBODY not in said.body["error"]["message"]
        assert bot.rows("SELECT DISTINCT state FROM l402_call") == [("returned",)]


@pytest.mark.long
async def test_talk_that_a_stop_interrupts_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(l402_gate, "SHUTDOWN_SECONDS", 0.05)
    clock = FakeClock()
    cashier = FakeCashier(clock)
    gate = asyncio.Event()
    async with OllamaServer.running("llama3.2:latest") as model:
        async with selling(tmp_path, cashier=cashier, clock=clock, ollama=model.url) as (bot, stranger):
            stranger.buy(await stranger.chat("hello"))
            model.says("Hel", gate, "lo")
            asking = asyncio.ensure_future(stranger.chat("hello", key="k"))  # noqa: TID251 - the stop is in its midst
            await bot.see(lambda: bot.rows("SELECT 1 FROM l402_call WHERE state = 'reserved'"), pace=0)
            assert (await stranger.chat("hello", key="k")).error == (409, "still_working")
        await asyncio.gather(asking, return_exceptions=True)
        gate.set()
        async with selling(tmp_path, cashier=cashier, clock=clock, ollama=model.url) as (bot, again):
            again.token = stranger.token
            assert bot.rows("SELECT state, attempt FROM l402_call") == [("returned", 1)]
            model.says("Hello")
            assert (await again.chat("hello", key="k")).body == {"response": "Hello"}


async def test_only_so_many_strangers_talk_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.shop.MOST_TALKS", 0)
    async with selling(tmp_path, model=Parrot()) as (bot, stranger):
        stranger.buy(await stranger.chat("hello"))
        assert (await stranger.chat("hello")).error == (503, "too_many_talks")
        assert bot.rows("SELECT 1 FROM l402_call") == []


async def test_a_task_costs_at_most_what_was_paid_and_nothing_where_it_comes_to_nothing(tmp_path: Path) -> None:
    hands = Hands(asks={"echo": 30, "quill": 60})
    async with selling(tmp_path, hands=hands) as (bot, stranger):
        stranger.buy(await stranger.task("find it"))
        assert (await stranger.task("find it", max_sats=101)).error == (422, "more_than_sold")
        assert (await stranger.task("  ")).error == (422, "blank")
        assert (await stranger.task("?!")).error == (422, "no_work")
        hands.does["echo"] = ValueError("it broke")
        posted = await stranger.task("find it", max_sats=40, key="a")
        task = posted.body["task_id"]
        assert bot.rows("SELECT budget FROM task") == [(40_000,)]
        facts = await done(bot, stranger, task)
        assert (facts["status"], facts["why"]) == ("failed", "nobody here could do it")
        hands.does.clear()
        assert (await stranger.task("find it", max_sats=40, key="a")).body == {"task_id": task, "status": "failed"}
        second = await stranger.task("find it", key="b")  # the call was given back
        assert (await done(bot, stranger, second.body["task_id"]))["status"] == "settled"
        assert (await stranger.task("find it", key="c")).error == (402, "token_spent")
        assert (await stranger.task("find it", key="b")).body["status"] == "settled"
        assert balances(bot.app.settings)["treasury"] == (100, 0)
    prove(settings(tmp_path))


async def test_a_treasury_that_was_emptied_posts_nothing_and_takes_nothing(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.cashier.store = None  # what was paid went elsewhere
        stranger.buy(await stranger.task("find it"))
        said = await stranger.task("find it")
        assert said.error == (503, "no_funds")
        assert "0 sats" not in said.body["error"]["message"]
        assert bot.rows("SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM l402_call)") == [(0, 0)]


@pytest.mark.long
async def test_strangers_keep_the_swarm_from_nobody_and_learn_nothing_of_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.buy(await stranger.ask("POST", "/v1/tasks?calls=2"))
        with monkeypatch.context() as patched:
            patched.setattr("bot.shop.MOST_TASKS", 0)
            assert (await stranger.task("find it", key="a")).error == (503, "too_many_tasks")
        await bot.data("/freeze")
        said = await stranger.task("find it", key="a")
        assert said.error == (503, "no_funds")
        assert "frozen" not in said.body["error"]["message"]
        assert bot.rows("SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM l402_call)") == [(0, 0)]
        await bot.data("/unfreeze")
        monkeypatch.setattr("bot.shop.MOST_TASKS", 1)
        for key in "ab":  # what is over counts no more
            posted = await stranger.task("find it", key=key)
            await done(bot, stranger, posted.body["task_id"])
        again = await stranger.task("find it", key="b")
        assert (again.status, again.body["status"]) == (202, "settled")


async def test_what_comes_to_nothing_is_given_back_three_times_a_call_and_told_as_the_docs_say(tmp_path: Path) -> None:
    hands = Hands(asks={"echo": 30, "quill": 160}, does={"echo": ValueError("it broke")})
    async with selling(tmp_path, hands=hands) as (bot, stranger):
        stranger.buy(await stranger.task("find it"))
        for _ in range(3):
            task = (await stranger.task("find it")).body["task_id"]
            assert (await done(bot, stranger, task))["status"] == "failed"
        assert (await stranger.task("find it")).error == (402, "token_spent")


async def test_nobody_is_asked_to_pay_for_a_request_that_cannot_be_served(tmp_path: Path) -> None:
    async with selling(tmp_path) as (_, stranger):
        for path, body, error in (
            ("/v1/tasks", b"nojson", (400, "body_not_json")),
            ("/v1/tasks", b"{}", (422, "wrong_body")),
            ("/v1/tasks", b'{"description": " "}', (422, "blank")),
            ("/v1/tasks", b'{"description": "find it", "foo": 1}', (422, "wrong_body")),
            ("/v1/tasks", b'{"description": "find it", "max_sats": 0}', (422, "wrong_body")),
            ("/v1/tasks", b'{"description": "find it", "max_sats": 101}', (422, "more_than_sold")),
            ("/v1/tasks", b'{"description": "?"}', (422, "no_work")),
            ("/v1/tasks", b'{"description": "%b"}' % (b"x" * 8001), (422, "too_many_words")),
            ("/v1/chat", b'{"message": 5}', (422, "wrong_body")),
        ):
            assert (await stranger.ask("POST", path, data=body)).error == error, body
        assert (await stranger.task("find it", key="x" * 300)).error == (422, "bad_key")
        assert stranger.cashier.made == []
        assert (await stranger.ask("POST", "/v1/tasks")).error == (402, "payment_needed")  # what it costs


async def test_what_is_not_sold_now_is_said_where_the_wares_are(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        wares = (await stranger.ask("GET", "/.well-known/l402.json")).body["services"]
        assert [(one["service"], one["sold_now"]) for one in wares] == [("chat", False), ("tasks", True)]
        await bot.say("/freeze")
        assert (await stranger.ask("GET", "/")).body.count(b" (not now)") == 2


async def test_why_a_task_failed_names_none_of_the_hubs_machines(tmp_path: Path) -> None:
    async with selling(tmp_path, worker=None, roster=None) as (bot, stranger):
        stranger.buy(await stranger.task("write a poem"))
        facts = await done(bot, stranger, (await stranger.task("write a poem")).body["task_id"])
        assert (facts["status"], facts["why"]) == ("failed", "nobody here could do it")
        assert NOBODY in bot.rows("SELECT why FROM task")[0][0]  # its owner reads it


@pytest.mark.long
async def test_each_household_behind_a_proxy_is_a_client_of_its_own(tmp_path: Path) -> None:
    clock = FakeClock()
    cashier = FakeCashier(clock)
    update = {"serve": Serve(enabled=True, port=0), "http": Http(port=0, trusted_proxy="127.0.0.1")}
    async with hub(
        tmp_path, found=settings(tmp_path).model_copy(update=update), clock=clock, cashier=cashier, model=Parrot()
    ) as bot:
        stranger = Stranger(cashier)
        stranger.base = bot.app.serving.gate.address

        async def offer(seen: str) -> str:
            return (await stranger.ask("POST", "/v1/chat", headers={"X-Forwarded-For": f"9.9.9.9, {seen}"})).offer[1]

        one = await offer("192.0.2.1")
        assert await offer("::ffff:192.0.2.1") == one  # as a proxy writes it that listens to both
        assert await offer("::ffff:192.0.2.2") != one
        assert await offer("2001:db8::1") == await offer("2001:db8::2")
        assert await offer("2001:db8:0:1::1") != await offer("2001:db8::1")


async def test_what_strangers_buy_reads_none_of_the_hubs_files(tmp_path: Path) -> None:
    async with selling(tmp_path, worker=None, roster=None) as (bot, stranger):
        assert (await bot.data("/task summarise welcome.md"))["ok"]  # its own people do
        stranger.buy(await stranger.task("summarise welcome.md"))
        said = await stranger.task("summarise welcome.md")
        assert said.status == 404
        assert "welcome" not in said.body["error"]["message"].replace("welcome.md", "")
        assert bot.rows("SELECT count(*) FROM task WHERE requester LIKE 'l402:%'") == [(0,)]


async def test_what_strangers_buy_says_nothing_of_the_machine_it_runs_on(tmp_path: Path) -> None:
    async with selling(tmp_path, worker=None, roster=None) as (bot, stranger):
        own = await bot.data("/task report on this machine")
        assert "Load" in (await bot.settled(own["task"]))["text"]
        stranger.buy(await stranger.task("report on this machine"))
        posted = await stranger.task("report on this machine")
        facts = await done(bot, stranger, posted.body["task_id"])
        why = "nobody here could do it"
        assert facts == {"task_id": "T-2", "status": "failed", "result": None, "why": why, "files": None}
        assert "127.0.0.1" in (await bot.say("/show T-2"))["text"]  # where no model answers, for the owner
        assert (await bot.app.serving.gate.status()).calls_used == 0


async def test_the_files_of_a_result_are_its_buyers(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.buy(await stranger.task("find it"))
        task = (await stranger.task("find it")).body["task_id"]
        await done(bot, stranger, task)
        chart = ResultFile("a chart.png", hashlib.sha256(b"pixels").hexdigest(), 6)
        place = bot.app.serving.gate.front.place(chart)  # type: ignore[attr-defined]
        place.parent.mkdir(parents=True)
        place.write_bytes(b"pixels")
        await bot.app.store.write(lambda tx: tx.tasks.attach(1, [chart], tx.now))
        (file,) = (await stranger.ask("GET", f"/v1/tasks/{task}")).body["files"]
        assert (file["name"], file["size"]) == ("a chart.png", 6)
        got = await stranger.ask("GET", file["href"])
        assert (got.status, got.body, got.headers["Content-Disposition"]) == (200, b"pixels", "attachment")
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert (await stranger.ask("GET", file["href"] + "x")).error == (404, "no_such_file")
        assert (await stranger.ask("GET", file["href"], token="")).error == (401, "needs_its_token")


# What is refused ------------------------------------------------------------------------------------------------


async def test_forged_tokens_are_401_and_make_no_offer(tmp_path: Path) -> None:
    async with selling(tmp_path, model=Mute()) as (_, stranger):
        token, invoice = (await stranger.chat("hello")).offer
        preimage = stranger.cashier.pay(invoice)
        wire = bytearray(base64.b64decode(token))
        wire[-1] ^= 1
        forged = base64.b64encode(wire).decode()
        made = len(stranger.cashier.made)
        for header in (
            f"L402 {forged}:{preimage}", f"L402 {token}:{'0' * 64}", f"L402 {token[:-8]}:{preimage}", "L402 x", "LSAT",
            f"L402 {token}:{preimage[:-1]}", f"L402 {token}",
        ):  # fmt: skip
            said = await stranger.chat("hello", token=header)
            assert said.error == (401, "bad_credential")
            assert said.headers["WWW-Authenticate"] == "L402"
        assert len(stranger.cashier.made) == made
        twice = [("Authorization", f"L402 {token}:{preimage}"), ("Authorization", "x")]
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{stranger.base}/v1/chat", headers=twice) as answer,
        ):
            assert answer.status == 401
        assert (
            await stranger.chat("hello", token=f"LSAT {token.replace('+', '-').rstrip('=')}:{preimage}")
        ).status == 503


async def test_an_offer_can_be_paid_as_long_as_it_says_and_a_token_used_as_long(tmp_path: Path) -> None:
    async with selling(tmp_path, model=Parrot()) as (bot, stranger):
        first = await stranger.task("find it")
        bot.pass_time(601)
        second = await stranger.task("find it")
        assert second.offer != first.offer
        stranger.buy(second)
        bot.pass_time(8 * 86_400)
        assert (await stranger.task("find it")).error == (402, "token_expired")
        assert (await stranger.chat("find it")).error == (402, "other_goods")


async def test_nothing_that_is_packed_is_unpacked_for_anybody(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        packed = b"\x1f\x8b no gzip"
        head = b"Host: localhost\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        for port in (stranger.base.rpartition(":")[2], bot.app.address.rpartition(":")[2]):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(b"POST /v1/chat HTTP/1.1\r\n" + head + packed)
            assert b" 415 " in await reader.readline()
            # The connection is still good: whoever had begun to unpack this would have ended it.
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b"packed_body" in (rest := await reader.read())
            assert b"HTTP/1.1 " in rest
            writer.close()
        assert stranger.cashier.made == []


async def test_bodies_and_counts_that_are_wrong_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(l402_reading, "BODY_SECONDS", 0.05)
    async with selling(tmp_path, model=Parrot()) as (bot, stranger):
        for count in ("0", "101", "-1", "1.5", "ten", "", "9" * 5000, "1&calls=2", "\u0661"):
            assert (await stranger.ask("POST", f"/v1/chat?calls={count}", token="")).error == (422, "bad_count")
        assert stranger.cashier.made == []
        stranger.buy(await stranger.chat("hello"))
        for body, error in {
            b"": (400, "body_not_json"), b"{": (400, "body_not_json"), b"\xff": (400, "body_not_json"),
            b"[" * 60_000: (400, "body_not_json"), b"[]": (422, "wrong_body"), b"{}": (422, "wrong_body"),
            b'{"message": 1}': (422, "wrong_body"), b'{"message": "x", "max": 1}': (422, "wrong_body"),
            b'{"message": " "}': (422, "blank"), b'{"message": "' + b"x" * 40_000 + b'"}': (413, "text_too_long"),
            b" " * 70_000: (413, "too_large"),
        }.items():  # fmt: skip
            assert (await stranger.ask("POST", "/v1/chat", data=body)).error == error

        async def slowly() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        for token in (stranger.token, ""):  # nobody holds a connection by asking for the price
            async with asyncio.timeout(5):
                said = await stranger.ask("POST", "/v1/chat", data=slowly(), token=token)
            assert said.error == (400, "body_too_slow")
        for key in ("\u00e4", "x" * 300):
            assert (await stranger.chat("hello", key=key)).error == (422, "bad_key")
        assert bot.rows("SELECT count(*) FROM l402_call") == [(0,)]
        stranger.buy(await stranger.task("x"))
        for most in (0, -1, 1.5, True, "5", 10**30):
            assert (await stranger.task("find it", max_sats=most)).error == (422, "wrong_body")


async def test_a_node_that_is_down_is_503_and_one_address_is_slowed_down(tmp_path: Path) -> None:
    async with selling(tmp_path, model=Parrot()) as (bot, stranger):
        stranger.cashier.down = "its certificate is another's"
        said = await stranger.chat("hello")
        assert said.error == (503, "till_closed")
        assert "certificate" not in said.body["error"]["message"]
        stranger.cashier.down = ""
        for calls in range(1, 11):
            await stranger.ask("POST", f"/v1/chat?calls={calls}")
        assert (await stranger.ask("POST", "/v1/chat?calls=11")).error == (429, "too_many_offers")
        statuses = {(await stranger.ask("GET", "/health")).status for _ in range(120)}
        assert statuses == {200, 429}
        assert (await stranger.ask("GET", "/health")).error == (429, "too_fast")
        bot.pass_time(60)
        assert (await stranger.ask("GET", "/health")).body == {"ok": True}


async def test_what_is_open_and_what_is_the_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with selling(tmp_path, model=Mute()) as (bot, stranger):
        front = (await stranger.ask("GET", "/")).body.decode()
        assert "simulated" in front
        assert "POST /v1/chat  100 simulated sats a call" in front
        wares = (await stranger.ask("GET", "/.well-known/l402.json")).body
        assert [(one["path"], one["price_sats"]) for one in wares["services"]] == [
            ("/v1/chat", 100),
            ("/v1/tasks", 100),
        ]
        assert (wares["simulated"], wares["scheme"], wares["max_calls"]) == (True, "L402", 100)
        told = (await stranger.ask("GET", "/openapi.json")).body["paths"]
        monkeypatch.setattr(l402_gate, "_document", None)  # it is written once, whoever asks how often
        assert (await stranger.ask("GET", "/openapi.json")).body["paths"] == told
        assert told["/v1/chat"]["post"]["security"] == [{"l402": []}]
        assert "402" in told["/v1/tasks"]["post"]["responses"]
        for method in ("HEAD", "OPTIONS"):
            assert (await stranger.ask(method, "/v1/chat")).status == 405
        assert (await stranger.ask("HEAD", "/v1/tasks/T-1")).status == 401
        assert (await stranger.ask("GET", "/v1/tasks/T-1")).error == (401, "needs_its_token")
        assert (await stranger.ask("GET", "/nowhere")).error == (404, "not_found")
        assert (await stranger.ask("GET", "/", headers={"Host": "elsewhere.example"})).error == (403, "foreign_host")
        assert stranger.cashier.made == []
        asked = {"amount_sats": 5, "memo": "coffee"}
        assert (await stranger.ask("POST", "/v1/invoice", json=asked)).error == (401, "no_token")
        caller = await bot.app.hub.identities.caller("console:owner", private=True)
        reader = await bot.app.hub.identities.mint(caller, "read", "r")
        assert (await stranger.ask("GET", "/v1/status", token=f"Bearer {reader}")).error == (403, "wrong_scope")
        owner = "Bearer " + await bot.app.hub.identities.mint(caller, "owner", "o")
        made = (await stranger.ask("POST", "/v1/invoice", json=asked, token=owner)).body
        assert (made["amount_sats"], made["simulated"], made["bolt11"]) == (5, True, "lnbcrt0")
        for wrong in ({"amount_sats": 0, "memo": ""}, {"amount_sats": 5}, {"amount_sats": 5, "memo": "x" * 201}):
            assert (await stranger.ask("POST", "/v1/invoice", json=wrong, token=owner)).error == (422, "wrong_body")
        half = {"amount_sats": 5, "memo": "\ud800"}  # of a pair, which no node could write
        assert (await stranger.ask("POST", "/v1/invoice", json=half, token=owner)).status == 200
        assert stranger.cashier.memos[-1] == "?"
        stranger.buy(await stranger.chat("hello"))
        assert (await stranger.chat("hello")).status == 503
        status = (await stranger.ask("GET", "/v1/status", token=owner)).body
        assert (status["open"], status["offers"], status["bundles"], status["earned_sats"]) == (True, 1, 1, 100)


# Opening it ------------------------------------------------------------------------------------------------------


async def test_the_gate_is_opened_in_a_running_hub_and_asked_over_the_owners_socket(tmp_path: Path) -> None:
    clock = FakeClock()
    async with hub(tmp_path, clock=clock, cashier=FakeCashier(clock)) as bot:
        calls = bot.app.console.admin
        closed = await calls["serve.status"]({})
        assert closed["text"].startswith("The gate is closed")
        assert (await calls["status"]({}))["data"]["gate"] == ""
        assert (await calls["serve.invoice"]({"amount": 5, "memo": "x"}))["text"] == "lnbcrt0"
        for frame in ({"amount": 0}, {"amount": "5"}, {}, {"amount": 5, "memo": "x" * 201}):
            await bot.link.send({"op": "serve.invoice", **frame})
            assert (await bot.until(kind="error"))["error"] == "wrong_order"
        busy = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = busy.sockets[0].getsockname()[1]
        with pytest.raises(PortInUse, match=rf"Port {port} on 127\.0\.0\.1 is in use\. Set TIMMY_SERVE_PORT"):
            await calls["serve.start"]({"port": port, "price": 7})
        busy.close()
        await busy.wait_closed()
        opened = await calls["serve.start"]({"port": port, "price": 7})
        assert opened["text"].startswith(
            f"Selling at http://127.0.0.1:{port}, 7 simulated sats a call. It closes when the hub"
        )
        assert (await calls["status"]({}))["data"]["gate"] == f"http://127.0.0.1:{port}"
        assert opened["text"].splitlines()[1] == (
            "But none of the hub's own agents does a task for 7 sats: quill asks the least, 40 sats."
            " Set TIMMY_SERVE_PRICE (or --price) higher."
        )
        mute = opened["text"].splitlines()[2]
        assert mute.startswith("No chat is sold until a model answers: No model answers at ")
        with pytest.raises(OpenAlready, match="7 simulated sats"):
            await calls["serve.start"]({})
        told = await calls["serve.status"]({})
        assert told["data"]["price_sats"] == 7
        assert "It closes when the hub stops; TIMMY_SERVE_ENABLED=true opens it at each start." in told["text"]
        assert told["text"].endswith(mute)
        assert bot.app.health.parts["l402"].up
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health") as answer:
            assert answer.status == 200


async def test_the_gate_does_not_open_on_the_hubs_own_port(tmp_path: Path) -> None:
    clock, found = FakeClock(), settings(tmp_path)
    async with hub(tmp_path, found=found, clock=clock, cashier=FakeCashier(clock)) as bot:
        own = int(bot.app.address.rpartition(":")[2])
        with pytest.raises(PortInUse):  # of a port that the system chose nothing is known beforehand
            await bot.app.serving.open(own)
    set_ = found.model_copy(update={"http": Http(port=own)})
    async with hub(tmp_path, found=set_, clock=clock, cashier=FakeCashier(clock)) as bot:
        with pytest.raises(OwnPort, match=f"Port {own} is the hub's own"):
            await bot.app.serving.open(own)


async def test_a_port_in_use_is_said_at_the_start(tmp_path: Path) -> None:
    busy = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    serve = Serve(enabled=True, port=busy.sockets[0].getsockname()[1])
    found = settings(tmp_path).model_copy(update={"serve": serve})
    clock = FakeClock()
    with pytest.raises(PortInUse, match="TIMMY_SERVE_PORT"):
        async with hub(tmp_path, found=found, clock=clock, cashier=FakeCashier(clock)):
            pass
    busy.close()


async def test_talk_that_nobody_could_answer_is_not_sold(tmp_path: Path) -> None:
    async with OllamaServer.running() as model, selling(tmp_path, ollama=model.url) as (_, stranger):
        assert (await stranger.chat("hello")).error == (503, "no_answer"), "a server without a model"
        assert (await stranger.task("find it")).status == 402
