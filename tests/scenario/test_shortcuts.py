"""Siri Shortcuts over a whole hub: who is answered, in which words, within which time, where, and how often."""

from __future__ import annotations

import asyncio
import io
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import segno

from bot.registry import registry
from config.settings import Http
from core.access import NotAllowed
from core.tokens import NoSuchToken
from core.voice.intent import understand
from tests.depth import first
from tests.ollama_server import OllamaServer
from tests.scenario.bot import OWNER, Hands, balances, hub, let_in
from tests.scenario.held_store import HeldDatabase, held
from tests.scenario.shortcuts import Phone, listening, meanwhile, mint, phone_and_hub, waiting
from tests.speech import Ears

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.scenario.shortcuts import Answer

ANN = "telegram:11"
ROUTES = [
    ("POST", "chat"), ("POST", "task"), ("POST", "audio"), ("GET", "status"), ("GET", "swarm"), ("GET", "result/x"),
]  # fmt: skip
IN_CHAT = "I sent the answer to your chat."


def told_at(bot: Bot, home: str) -> list[str]:
    """What was written for a chat."""
    return [
        text for (text,) in bot.rows("SELECT body ->> 'text' FROM outgoing WHERE conversation = ? ORDER BY id", home)
    ]


# What is answered ----------------------------------------------------------------------------------------------------


async def test_a_phone_posts_a_task_hears_its_price_and_the_result_comes_home(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        posted = await phone.task("write a poem")
        assert posted == {
            "speech": "task 1 posted with a budget of 200 simulated sats.",
            "text": "T-1 posted with a budget of 200 simulated sats.", "done": True, "task_id": "T-1",
        }  # fmt: skip
        assert "quill did write a poem" in (await bot.settled("T-1"))["text"]
        asked = await phone.chat("what's my balance?")
        assert (asked["speech"], asked["text"]) == (
            "9960 simulated sats free, 0 sats held for open tasks.", "9,960 simulated sats free, 0 sats held for open tasks",
        )  # fmt: skip
        assert (await phone.chat("/whoami"))["text"] == "shortcuts:phone, owner"
        assert "All parts are up" in (await phone.get("status"))["speech"]
        assert (await phone.get("swarm"))["text"].startswith("2 of 2 agents can take work now")
        assert bot.rows("SELECT requester, account, conversation FROM task") == [(OWNER, f"user:{OWNER}", OWNER)]


async def test_what_a_voice_leaves_out_is_whole_in_the_chat(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        heard = await phone.get("swarm")
        assert heard["speech"] == "2 of 2 agents can take work now. There is a table in the chat."
        shown = await bot.until(text="You asked by Siri: /agents")
        assert shown["text"] == f"You asked by Siri: /agents\n{heard['text']}"
        ((start, end),) = [mark[:2] for mark in shown["marks"] if mark[2] == "pre"]
        assert shown["text"][start:end].startswith("echo"), "marks stand where they stood"


EXPECTED = {
    "/task write a poem to=nobody": "nobody", "/show 9": "no task", "/tsak": "Did you mean", "/spawn quill": "You may not",
    "/approve A-1": "tapped in your chat", "post a task to write a poem": "You have 0 sats free",
    "hello there": "No model answers", "yes": "No question waits", "add eggs to shopping.txt": "only where I can ask you first",
    "delete notes.txt": "has to ask you first",
}  # fmt: skip


async def test_what_may_be_expected_to_fail_is_said_aloud(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        await let_in(bot, ANN)
        phone.token = await mint(bot.app, "anns", ANN)
        for said, words in EXPECTED.items():
            answer = await phone.chat(said)
            assert words in answer["text"], said
            assert 0 < len(answer["speech"].split()) <= 60
        assert bot.rows("SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM approval)") == [(0, 0)]


# Money by voice ------------------------------------------------------------------------------------------------------


WITHIN = [("write a poem for fifty sats", 50), ("post a task to write a poem", 100), ("write a poem max=100", 100)]


async def test_a_task_within_the_limit_is_posted_at_once(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as (phone, bot):
        phone.token = await mint(bot.app, "watch", task_limit=100)
        for said, budget in WITHIN:
            assert f"with a budget of {budget} simulated sats" in (await phone.task(said))["speech"]
        posted = bot.rows("SELECT budget / 1000, description FROM task ORDER BY id")
        assert posted == [(budget, "write a poem") for _, budget in WITHIN]


@pytest.mark.long
async def test_a_task_above_the_limit_is_tapped_at_home_and_then_posted_once(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        answer = await phone.chat("post a task to write a poem for 500 sats", key="one")
        assert "tap Approve there" in answer["speech"]
        assert "at most 200 sats" in answer["speech"]
        assert await phone.chat("post a task to write a poem for 500 sats", key="one") == answer
        question = await bot.until(text="Your Shortcut phone asks for: /task write a poem max=500")
        assert [button["command"] for button in question["buttons"]] == ["/approve A-1", "/deny A-1"]
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]
        assert "tapped in your chat" in (await phone.chat("/approve A-1"))["text"]
        assert "T-1 posted with a budget of 500" in (await bot.say("/approve A-1"))["text"]
        assert "approved already" in (await bot.say("/approve A-1"))["text"]
        await bot.settled("T-1")
        assert bot.rows("SELECT budget / 1000, requester FROM task") == [(500, OWNER)]


@pytest.mark.long
@pytest.mark.parametrize("said", ["remember my password is hunter2secret", "/remember the password is hunter2secret"])
async def test_a_secret_that_is_to_be_remembered_is_refused_and_shown_in_no_question(tmp_path: Path, said: str) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        assert "was not kept" in (await phone.chat(said))["text"]
        assert bot.rows("SELECT count(*) FROM approval") == [(0,)]
        assert "tap Approve" in (await phone.chat("remember my birthday is 3 May"))["text"]


@pytest.mark.long
async def test_a_task_with_a_model_is_tapped_whatever_it_costs(tmp_path: Path) -> None:
    async with (
        OllamaServer.running("own:latest", "other:latest") as model,
        phone_and_hub(tmp_path, ollama=model.url) as (phone, bot),
    ):
        answer = await phone.chat("/task write a poem max=10 model=other")
        assert "until you tap Approve there. This device may not choose a task's model by itself" in answer["text"]
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]
        assert (await bot.say("/approve A-1"))["data"]["ok"]
        assert bot.rows("SELECT budget / 1000, model FROM task") == [(10, "other:latest")]


ARGUMENTS = {
    "bid": "1 10", "award": "1 quill", "deliver": "2 done", "accept": "3", "reject": "3 bad", "cancel": "1", "retry": "4",
    "pay": "lnbc1 10", "payout": "worker lnbc1", "reconcile": "", "spawn": "quill", "dismiss": "quill", "pair": "ABCD2345",
    "treasury": "in 10", "unpair": ANN, "model": "small", "task": "sing max=201", "notify": "money off",
    "every": "day at 9 /status", "at": "noon /status", "schedules": "resume=S-1", "unschedule": "S-1",
    "remember": "I like tea", "forget": "tea",
}  # fmt: skip
"""Every command that binds, in words that its owner could have carried out."""


async def test_no_command_that_binds_acts_by_voice_and_each_is_asked_for_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.proxies.MAX_ASKS", 99)
    free = {
        "ask",
        "think",
        "new",
        "stop",
        "voice",
        "invoice",
        "continue",
    }  # they bind nobody: what is said between the device and the agent
    never = {"approve", "deny", "pull", "link", "unlink", "revoke", "limits", "freeze", "unfreeze"}
    binding = [one.name for one in registry if not one.reads and one.name not in free | never]
    assert set(binding) == set(ARGUMENTS), "a new command says here how a voice could misuse it"
    async with phone_and_hub(tmp_path) as (phone, bot):
        await let_in(bot, ANN)
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await theirs(bot, 2, OWNER)
        await theirs(bot, 3, ANN)
        ann = await bot.app.hub.identities.caller(ANN, private=True)
        await bot.app.hub.coordinator.deliver(ann, 3, "psst", key="a result")
        await bot.say("/task write a short poem")
        await bot.settled("T-4")
        kept = {name: rows for name, rows in bot.tables().items() if name not in ASKING}
        for name in binding:
            answer = await phone.chat(f"/{name} {ARGUMENTS[name]}".strip())
            assert "Nothing is done until you tap Approve there" in answer["text"], name
        unspoken = ("/approve A-1", "/link", "/link ABCD2345", f"/unlink {ANN}", "/revoke shortcut phone", "/tokens")
        for line in (
            *unspoken,
            "/freeze",
            "/unfreeze",
            "/limits day off",
            "freeze all spending",
            "unfreeze the wallet",
        ):
            assert "in your chat" in (await phone.chat(line))["text"], line
        assert {name: rows for name, rows in bot.tables().items() if name not in ASKING} == kept
        asked = bot.rows("SELECT words, approvers, state FROM approval")
        assert asked == [
            (f"Your Shortcut phone asks for: /{name} {ARGUMENTS[name]}".strip(), f'["{OWNER}"]', "open")
            for name in binding
        ]


async def theirs(bot: Bot, number: int, person: str) -> None:
    """A task that waits for a person to deliver."""
    await bot.say(f"/task whisper to={person}")
    await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE id = ? AND status = 'bidding'", number), "the auction")
    caller = await bot.app.hub.identities.caller(person, private=True)
    await bot.app.hub.coordinator.bid(caller, number, 60, eta=None, note="", key=f"a bid on {number}")


ASKING = {"sqlite_sequence", "approval", "approval_question", "event", "shortcut_job", "cursor"}


@pytest.mark.long
async def test_a_device_asks_for_the_same_once_and_for_few_things_at_a_time(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        first = await phone.chat("/bid 1 10")
        assert await phone.chat("/bid 1 10") == first
        for sats in range(11, 15):
            assert "tap Approve" in (await phone.chat(f"/bid 1 {sats}"))["speech"]
        assert "5 things that this device asked for wait for your tap" in (await phone.chat("/bid 1 15"))["speech"]
        assert await phone.chat("/bid 1 10") == first
        assert bot.rows("SELECT count(*) FROM approval") == [(5,)]
        watch = Phone(await mint(bot.app, "watch")).at(phone.base)
        assert "as A-6" in (await watch.chat("/bid 1 10"))["text"], "each device has its own"
        await bot.say("/deny A-1")
        assert "as A-7" in (await phone.chat("/bid 1 10"))["text"]
        bot.pass_time(3600)
        await bot.see(lambda: bot.rows("SELECT count(*) FROM approval WHERE state = 'open'") == [(0,)], pace=0)
        assert "as A-8" in (await phone.chat("/bid 1 10"))["text"]


@pytest.mark.long
async def test_what_a_device_asks_for_in_the_same_moment_is_asked_once_and_counted_too(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as (phone, bot):
        await bot.say("/task write a poem")
        same = await asyncio.gather(*(phone.chat("/cancel T-1") for _ in range(3)))  # /cancel waits for no other turn
        assert same == [same[0]] * 3
        assert bot.rows("SELECT count(*) FROM approval") == [(1,)]
        answers = await asyncio.gather(*(phone.chat(f"/cancel {'0' * count}1") for count in range(1, 9)))
        assert sum("wait for your tap already" in answer["speech"] for answer in answers) == 4
        assert bot.rows("SELECT count(*) FROM approval") == [(5,)]


async def test_what_a_device_asks_for_is_shown_in_one_line_and_whole(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        await theirs(bot, 1, OWNER)
        await phone.chat("/deliver 1 x\n\n\nA-9: /approve A-9 or /deny A-9")
        assert "signs in it that nobody sees" in (await phone.chat("/deliver 1 a\u200bb"))["text"]
        assert "signs in it that nobody sees" in (await phone.chat("/task dig max=9000 \u202e05=xam"))["text"]
        dear = f"/task {'read ' * 90}max=9000 {'write ' * 80}end"
        await phone.chat(dear)
        assert "longer than the 1,000 characters" in (await phone.chat(f"/deliver 1 {'x' * 990}"))["text"]
        assert bot.rows("SELECT words FROM approval") == [
            ("Your Shortcut phone asks for: /deliver 1 x A-9: /approve A-9 or /deny A-9",),
            (f"Your Shortcut phone asks for: {dear}",),
        ]


async def test_what_a_revoked_device_had_asked_for_is_not_done(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        await phone.chat("/spawn quill")
        await bot.app.console.admin["token.revoke"]({"token_kind": "shortcut", "name": "phone"})
        await mint(bot.app)  # the name is free, and means another device
        assert "speaks for nobody here any more" in (await bot.say("/approve A-1"))["text"]
        assert bot.rows("SELECT count(*) FROM agent") == [(2,)]


# Who is heard --------------------------------------------------------------------------------------------------------


async def test_where_shortcuts_are_off_there_is_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        phone = Phone(await mint(bot.app))
        phone.base = bot.app.address
        for method, path in [*ROUTES, ("GET", "setup")]:
            assert (await phone.request(method, f"/shortcuts/{path}"))[0] == 404


async def test_only_the_live_token_of_a_device_whose_person_is_known_opens_anything(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        await let_in(bot, ANN)
        tokens = {"": 401, "timmy_shortcut_wrong": 401}
        for kind in ("owner", "read", "worker"):
            tokens[(await bot.app.console.admin["token.mint"]({"token_kind": kind, "name": "x"}))["text"]] = 403
        tokens[revoked := await mint(bot.app, "old")] = 401
        tokens[await mint(bot.app, "anns", ANN)] = 401
        tokens[await mint(bot.app, "bobs", "telegram:12")] = 403
        assert revoked
        await bot.app.console.admin["token.revoke"]({"token_kind": "shortcut", "name": "old"})
        await bot.say(f"/unpair {ANN}")
        for token, wanted in tokens.items():
            phone.token = token
            for method, path in ROUTES:
                how: dict[str, Any] = {"json": {"message" if path == "chat" else "description": "/spawn quill"}}
                if path == "audio":
                    how = {"data": b"sound", "headers": {"Content-Type": "audio/mp4"}}
                status, answer = await phone.request(method, f"/shortcuts/{path}", **(how if method == "POST" else {}))
                assert (status, "code" in answer["error"]) == (wanted, True), (token[:16], path)
        assert bot.rows("SELECT count(*) FROM inbound WHERE surface = 'shortcuts'") == [(0,)]


@pytest.mark.long
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("end", first(2, ["revoked", "linked", "let out"]))
async def test_the_end_of_a_token_or_a_person_ends_what_is_under_way(tmp_path: Path, end: str, late: bool) -> None:
    said = asyncio.Event()
    async with (
        OllamaServer.running("slow:latest") as model,
        phone_and_hub(tmp_path, ollama=model.url, personas=()) as (phone, bot),
    ):
        await let_in(bot, ANN)
        phone.token = await mint(bot.app, "anns", ANN)
        job, asking = "", None
        if late:
            job = (await slowly(bot, phone, model, said))["job"]
        else:
            model.says(said, "A secret.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
            asking = meanwhile(phone.request("POST", "/shortcuts/chat", json={"message": "tell me"}))
            await bot.see(lambda: model.asked, "the model asked", pace=0)
        if end == "linked":
            await bot.app.store.write(lambda tx: tx.links.link(ANN, OWNER, "", tx.now))
        else:
            await bot.say("/revoke shortcut anns" if end == "revoked" else f"/unpair {ANN}")
        if asking is None:
            assert (await phone.request("GET", f"/shortcuts/result/{job}"))[0] in {401, 403}
        else:
            assert (await asking)[1]["error"]["code"] == "speaks_for_nobody", "the model is not waited for"
        said.set()
        await bot.see(lambda: bot.rows("SELECT state FROM outgoing WHERE surface = 'shortcuts'") == [("dead",)], pace=1)
        assert told_at(bot, ANN) == []


async def test_a_person_sees_and_ends_the_devices_of_every_identity_of_theirs_and_nobody_elses(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        identities = bot.app.hub.identities
        await let_in(bot, ANN)
        await bot.app.store.write(lambda tx: tx.links.link("telegram:12", ANN, "Ann", tx.now))
        await identities.refresh()
        lost = await mint(bot.app, "anns", "telegram:12")
        ann = await identities.caller(ANN, private=True)
        assert [row.name for row in await identities.live(ann)] == ["anns"]
        with pytest.raises(NoSuchToken):
            await identities.revoke(ann, "shortcut", "phone")
        with pytest.raises(NotAllowed):
            await identities.mint(ann, "shortcut", "mine", for_actor=ANN)
        await identities.revoke(ann, "shortcut", "anns")
        assert (await identities.check(lost), bool(await identities.check(phone.token))) == (None, True)


async def test_who_is_let_out_and_in_again_has_no_device_from_before(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        await let_in(bot, ANN)
        tokens = [await mint(bot.app, name, ANN) for name in ("anns", "watch")]
        told = (await bot.say(f"/unpair {ANN}"))["text"]
        assert told == f"{ANN} has no role here any more\nTheir devices open nothing any more: anns, watch"
        await let_in(bot, ANN)
        for token in tokens:
            status, _ = await Phone(token).at(phone.base).request("GET", "/shortcuts/status")
            assert status == 401
        assert (await phone.chat("/whoami"))["text"] == "shortcuts:phone, owner", "the others go on"


async def test_who_becomes_one_with_somebody_or_no_longer_gives_their_devices_tokens_anew(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (_, bot):
        for actor in (ANN, "telegram:12"):
            await let_in(bot, actor)
        await mint(bot.app, "anns", ANN)
        await bot.app.store.write(lambda tx: tx.links.link(ANN, "telegram:12", "Ann", tx.now))
        assert "anns" not in (await bot.say("/tokens"))["text"]
        await mint(bot.app, "anns", ANN)
        await bot.app.store.write(lambda tx: tx.links.unlink(ANN))
        assert "anns" not in (await bot.say("/tokens"))["text"]
        assert bot.rows("SELECT count(*) FROM event WHERE kind = 'TokenRevoked'") == [(2,)]


@pytest.mark.long
@pytest.mark.parametrize("minted", [False, True])
async def test_what_a_device_asked_before_its_end_and_what_waited_its_turn_is_not_done(
    tmp_path: Path, minted: bool
) -> None:
    async with phone_and_hub(tmp_path, database=HeldDatabase) as (phone, bot):
        held(bot.app.store).hold("Dispatcher.receive")
        asking = meanwhile(phone.request("POST", "/shortcuts/task", json={"description": "write a poem"}))
        await held(bot.app.store).holding("Dispatcher.receive")
        await bot.app.console.admin["token.revoke"]({"token_kind": "shortcut", "name": "phone"})
        if minted:
            await mint(bot.app)  # the name is another device's now
        held(bot.app.store).release()
        status, answer = await asking
        assert (status, answer["error"]["code"]) == (403, "speaks_for_nobody")
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]
        assert bot.rows("SELECT text FROM inbound WHERE surface = 'shortcuts'") == [("",)]


BODIES: list[tuple[str, dict[str, Any], int, str]] = [
    ("chat", {"data": b"{"}, 400, "body_not_json"), ("chat", {"data": b"\xff"}, 400, "body_not_json"),
    ("chat", {"data": b""}, 400, "body_not_json"), ("chat", {"data": b"[" * 100_000}, 400, "body_not_json"),
    ("chat", {"json": []}, 422, "wrong_fields"), ("chat", {"json": {}}, 422, "wrong_fields"),
    ("chat", {"json": {"message": 5}}, 422, "wrong_fields"), ("chat", {"json": {"message": None}}, 422, "wrong_fields"),
    ("task", {"json": {"message": "sing"}}, 422, "wrong_fields"),
    ("task", {"json": {"description": "sing", "max": 5}}, 422, "wrong_fields"),
    ("chat", {"json": {"message": " \n"}}, 422, "blank"), ("chat", {"json": {"message": "ä" * 20_000}}, 413, "text_too_long"),
    ("chat", {"data": io.BytesIO(b"x" * (2 << 20))}, 413, "too_large"),
    ("chat", {"json": {"message": "hi"}, "key": "x" * 201}, 422, "bad_key"),
    ("chat", {"json": {"message": "hi"}, "key": "caf\xe9"}, 422, "bad_key"),
    ("audio", {"data": b"", "headers": {"Content-Type": "audio/mp4"}}, 422, "no_recording"),
    ("audio", {"json": {"message": "hi"}}, 422, "no_recording"),
    ("audio", {"data": io.BytesIO(b"x" * (9 << 20)), "headers": {"Content-Type": "audio/mp4"}}, 413, "recording_too_large"),
]  # fmt: skip


@pytest.mark.long
async def test_what_is_no_request_is_refused_with_its_reason_and_nothing_is_kept(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        for path, how, status, code in BODIES:
            got, answer = await phone.request("POST", f"/shortcuts/{path}", **how)
            assert (got, answer["error"]["code"]) == (status, code), (path, str(how)[:60])
        for path, status in (("result/nobody", 404), ("result/", 404), ("chat", 405), ("nothing", 404)):
            assert (await phone.request("GET", f"/shortcuts/{path}"))[0] == status
        assert bot.rows("SELECT (SELECT count(*) FROM inbound), (SELECT count(*) FROM shortcut_job)") == [(0, 0)]
        assert not (tmp_path / "data" / "recordings").exists()
        assert (await phone.chat("half of a pair: \ud83d"))["done"], "what cannot be stored as it is, is taken without"


@pytest.mark.long
async def test_requests_that_only_half_come_in_are_bounded_for_each_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.shortcuts.surface.MAX_EACH", 2)
    async with phone_and_hub(tmp_path) as (phone, bot):
        whole = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b'{"message": '
            await whole.wait()
            yield b'"/whoami"}'

        surface: Any = next(one for one in bot.app.health.surfaces if one.name == "shortcuts")
        halves = [meanwhile(phone.request("POST", "/shortcuts/chat", data=slow())) for _ in range(2)]
        await bot.see(lambda: surface._open.total() == 2, "both have begun", pace=0)
        for path in ("chat", "task", "audio"):
            status, answer = await phone.request(
                "POST", f"/shortcuts/{path}", data=b"x", headers={"Content-Type": "audio/mp4"}
            )
            assert (status, answer["error"]["code"]) == (503, "too_many_open")
        watch = Phone(await mint(bot.app, "watch")).at(phone.base)
        assert (await watch.chat("/whoami"))["text"] == "shortcuts:watch, owner"
        whole.set()
        assert [(await half)[0] for half in halves] == [200, 200]
        assert surface._open.total() == 0


# Two phases ----------------------------------------------------------------------------------------------------------


async def slowly(bot: Bot, phone: Phone, model: OllamaServer, said: asyncio.Event, key: str = "") -> Answer:
    """Ask something that takes the model until `said`: what the phone is told after seven seconds."""
    model.says(said, "Once upon a time.")
    before = len(model.asked)
    asking = meanwhile(phone.chat("tell me a story", key))
    await bot.see(lambda: len(model.asked) > before, "the model asked", pace=0)
    bot.pass_time(6.9)
    await bot.barrier()
    assert not asking.done()
    bot.pass_time(0.1)
    answer = await asking
    words = "I am still at it. The answer comes to your chat, if you do not wait for it here."
    assert answer == {"speech": words, "text": words, "done": False, "job": answer["job"]}
    return answer


@pytest.mark.long
async def test_a_slow_answer_is_fetched_by_its_job_and_told_nowhere_else(tmp_path: Path) -> None:
    said = asyncio.Event()
    async with OllamaServer.running("slow:latest") as model, phone_and_hub(tmp_path, ollama=model.url) as (phone, bot):
        job = (await slowly(bot, phone, model, said, key="story"))["job"]
        asking = meanwhile(phone.get(f"result/{job}"))
        await bot.see(lambda: waiting(bot) == 1, "it asks", pace=0)
        said.set()
        story = await asking
        assert story == {"speech": "Once upon a time.", "text": "Once upon a time.", "done": True}
        assert await phone.get(f"result/{job}") == story
        assert await phone.chat("tell me a story", key="story") == story
        bot.pass_time(100)
        await bot.barrier()
        assert "Once upon a time" not in str(bot.unread)
        assert len(model.asked) == 1


@pytest.mark.long
async def test_what_nobody_fetches_goes_home_once_and_the_phone_is_told_so(tmp_path: Path) -> None:
    said = asyncio.Event()
    async with OllamaServer.running("slow:latest") as model, phone_and_hub(tmp_path, ollama=model.url) as (phone, bot):
        job = (await slowly(bot, phone, model, said, key="story"))["job"]
        said.set()
        await bot.see(
            lambda: bot.rows("SELECT state FROM outgoing WHERE surface = 'shortcuts'") == [("queued",)], pace=0
        )
        bot.pass_time(19.9)
        await bot.app.store.write(lambda tx: None)
        assert "Once" not in str(told_at(bot, OWNER))
        bot.pass_time(0.1)
        assert (await bot.until(text="Once"))["text"] == "You asked by Siri: tell me a story\nOnce upon a time."
        for _ in range(2):
            assert (await phone.get(f"result/{job}"))["speech"] == IN_CHAT
            assert (await phone.chat("tell me a story", key="story"))["text"] == IN_CHAT
        bot.pass_time(100)
        await bot.barrier()
        assert sum("Once" in one for one in told_at(bot, OWNER)) == 1


@pytest.mark.long
async def test_who_hangs_up_finds_the_answer_at_home(tmp_path: Path) -> None:
    said = asyncio.Event()
    async with OllamaServer.running("slow:latest") as model, phone_and_hub(tmp_path, ollama=model.url) as (phone, bot):
        model.says(said, "Once upon a time.")
        async with aiohttp.ClientSession(phone.base, headers={"Authorization": f"Bearer {phone.token}"}) as session:
            asking = meanwhile(session.post("/shortcuts/chat", json={"message": "a story"}))
            await bot.see(lambda: model.asked, "the model asked", pace=0)
            asking.cancel()
        await bot.see(lambda: waiting(bot) == 0, "it hung up", pace=0)
        said.set()
        await bot.see(lambda: told_at(bot, OWNER) == ["You asked by Siri: a story\nOnce upon a time."], pace=1)


@pytest.mark.long
async def test_a_stop_while_an_answer_goes_home_sends_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.LAST_WORDS_SECONDS", 0.05)
    said = asyncio.Event()
    async with OllamaServer.running("slow:latest") as model:
        async with phone_and_hub(tmp_path, ollama=model.url, database=HeldDatabase) as (phone, bot):
            job = (await slowly(bot, phone, model, said))["job"]
            held(bot.app.store).hold("ShortcutsSurface._send_home")
            said.set()
            await bot.see(lambda: held(bot.app.store).held, "it on its way home", pace=1)
        async with phone_and_hub(tmp_path, phone, ollama=model.url) as (phone, bot):
            await bot.see(
                lambda: told_at(bot, OWNER)[-1:] == ["You asked by Siri: tell me a story\nOnce upon a time."], pace=1
            )
            bot.pass_time(100)
            assert (await phone.get(f"result/{job}"))["speech"] == IN_CHAT
            assert sum("Once" in one for one in told_at(bot, OWNER)) == 1


async def test_a_job_is_its_devices_alone(tmp_path: Path) -> None:
    said = asyncio.Event()
    async with OllamaServer.running("slow:latest") as model, phone_and_hub(tmp_path, ollama=model.url) as (phone, bot):
        job = (await slowly(bot, phone, model, said, key="mine"))["job"]
        said.set()
        watch = Phone(await mint(bot.app, "watch"))
        watch.base = phone.base
        assert (await watch.request("GET", f"/shortcuts/result/{job}"))[1]["error"]["code"] == "unknown_job"
        assert (await watch.chat("/whoami", key="mine"))["text"] == "shortcuts:watch, owner", (
            "keys are each device's own"
        )
        assert (await phone.get(f"result/{job}"))["speech"] == "Once upon a time."


# Once ----------------------------------------------------------------------------------------------------------------


async def test_the_same_key_is_one_request_however_often_and_over_a_restart(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        answers = await asyncio.gather(*(phone.task("write a poem", key=key) for key in ("k", "k", '"k"')))
        assert answers[0]["task_id"] == "T-1"
        assert answers == [answers[0]] * 3
        for path, body in (("task", {"description": "write two"}), ("chat", {"message": "/task write a poem"})):
            status, answer = await phone.request("POST", f"/shortcuts/{path}", json=body, key="k")
            assert (status, answer["error"]["code"]) == (422, "key_reused")
        await bot.settled("T-1")
    async with phone_and_hub(tmp_path, phone) as (phone, bot):
        assert await phone.task("write a poem", key="k") == answers[0]
        assert bot.rows("SELECT count(*) FROM task") == [(1,)]
        assert balances(bot.app.settings)[f"user:{OWNER}"] == (9960, 0)


@pytest.mark.long
async def test_a_request_is_the_same_whatever_its_words_mean_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        first = await phone.task("have quill write a poem", key="k")
        assert bot.rows("SELECT description FROM task") == [("write a poem",)]
        monkeypatch.setattr(
            "core.voice.intent.understand", lambda _, known: understand("hello", known)
        )  # a later grammar
        assert await phone.task("have quill write a poem", key="k") == first
        assert bot.rows("SELECT count(*) FROM task") == [(1,)]


@pytest.mark.long
@pytest.mark.parametrize("place", ["ShortcutsSurface._asked", "Coordinator.post", "Dispatcher._answer"])
async def test_a_stop_at_any_point_of_a_request_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0)
    monkeypatch.setattr("adapters.web.server.SHUTDOWN_SECONDS", 0.05)  # what is held back here ends by itself never
    said = "/spawn quill" if place == "Dispatcher._answer" else "/task write a poem"
    async with phone_and_hub(tmp_path, database=HeldDatabase) as (phone, bot):
        held(bot.app.store).hold(place)
        asking = meanwhile(phone.request("POST", "/shortcuts/chat", json={"message": said}, key="k"))
        await held(bot.app.store).holding(place)
    answered = await asyncio.gather(asking, return_exceptions=True)
    assert isinstance(answered[0], BaseException) or answered[0][0] >= 500 or answered[0][1]["done"] is False
    async with phone_and_hub(tmp_path, phone) as (phone, bot):
        answer = await phone.chat(said, key="k")
        assert ("T-1 posted" in answer["text"]) or ("as A-1" in answer["text"])
        bot.pass_time(100)
        await bot.barrier()
        assert bot.rows("SELECT (SELECT count(*) FROM task) + (SELECT count(*) FROM approval)") == [(1,)]
        assert sum("You asked by Siri" in one for one in told_at(bot, OWNER)) == 0


@pytest.mark.long
async def test_an_answer_whose_telling_a_stop_broke_off_goes_home_and_says_that_it_may_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.LAST_WORDS_SECONDS", 0.05)
    async with phone_and_hub(tmp_path, database=HeldDatabase) as (phone, bot):
        held(bot.app.store).hold("_mark")
        assert (await phone.chat("/whoami"))["done"]
    async with phone_and_hub(tmp_path, phone) as (_, bot):
        home = await bot.see(
            lambda: [one for one in told_at(bot, OWNER) if "phone, owner" in one], "it at home", pace=1
        )
        assert home == ["You asked by Siri: /whoami\nshortcuts:phone, owner\n(You may have heard this already.)"]


# Recordings ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_recording_is_heard_once_shown_with_its_answer_and_gone(tmp_path: Path) -> None:
    async def recorded(words: bytes, key: str) -> tuple[int, Any]:
        headers = {"Content-Type": "audio/x-m4a"}
        return await phone.request("POST", "/shortcuts/audio", key=key, data=words, headers=headers)

    folder, gate = tmp_path / "data" / "recordings", asyncio.Event()
    ears = Ears(gate=gate)
    async with phone_and_hub(tmp_path, ear=ears) as (phone, bot):
        asking = meanwhile(recorded(b"what is my balance", "k"))
        await bot.see(lambda: ears.heard, "it listening", pace=0)
        (file,) = folder.iterdir()
        assert file.read_bytes() == b"what is my balance"
        assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
        assert bot.rows("SELECT text, json_extract(more, '$.files') FROM inbound WHERE surface = 'shortcuts'") == [
            ("", f'[["recording.m4a",18,"{file.name}",true]]')
        ]
        gate.set()
        status, answer = await asking
        assert (status, answer["done"]) == (200, True)
        assert answer["text"].startswith('Heard: "what is my balance"\n10,000 simulated sats')
        assert answer["speech"].startswith("Heard: what is my balance. 10000 simulated sats")
        assert list(folder.iterdir()) == []
        assert await recorded(b"what is my balance", "k") == (200, answer)
        assert list(folder.iterdir()) == [], "the same again is not kept again"
        assert (await recorded(b"what is your balance", "k"))[0] == 422
        assert "T-1 posted" in (await recorded(b"have quill write a poem", "task"))[1]["text"]
        ears.doubts = 0.5
        unsure = (await recorded(b"have quill write a poem", "again"))[1]["text"]
        assert unsure.startswith('I heard "have quill write a poem", and am not sure of it')
        assert bot.rows("SELECT count(*) FROM task") == [(1,)]
        ears.broken = True
        assert "could not listen" in (await recorded(b"what is my balance", "bad"))[1]["speech"]
        assert len(ears.heard) == 4


async def test_a_recording_is_gone_once_it_was_heard_however_long_its_answer_takes(tmp_path: Path) -> None:
    said = asyncio.Event()
    async with (
        OllamaServer.running("slow:latest") as model,
        phone_and_hub(tmp_path, ollama=model.url, personas=(), ear=Ears()) as (phone, bot),
    ):
        model.says(said, "Once upon a time.")
        how: dict[str, Any] = {"data": b"tell me a story", "headers": {"Content-Type": "audio/mp4"}}
        asking = meanwhile(phone.request("POST", "/shortcuts/audio", **how))
        await bot.see(lambda: model.asked, "the model asked", pace=0)
        assert list((tmp_path / "data" / "recordings").iterdir()) == []
        said.set()
        assert (await asking)[1]["text"] == 'Heard: "tell me a story"\nOnce upon a time.'


# The page ------------------------------------------------------------------------------------------------------------


async def page(bot: Bot, path: str = "/shortcuts/setup") -> tuple[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(bot.app.address + path) as answer:
        assert answer.status == 200
        return await answer.text(), answer.headers


async def test_the_steps_are_open_carry_no_secret_and_say_that_no_phone_gets_here_yet(tmp_path: Path) -> None:
    async with phone_and_hub(tmp_path) as (phone, bot):
        text, headers = await page(bot)
        assert "A phone cannot reach this hub yet" in text
        assert f"{bot.app.address}/shortcuts/chat" in text
        assert "<svg" not in text
        assert phone.token not in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|\$\w", text), (
            "what the policy would not let through"
        )
        assert "--accent" in (await page(bot, "/shortcuts/setup.css"))[0]


async def test_a_hub_that_a_phone_reaches_shows_a_code_of_its_own_address(tmp_path: Path) -> None:
    public = Http(port=0, public_url="https://hub.example.org/")
    found = listening(tmp_path).model_copy(update={"http": public})
    async with hub(tmp_path, found=found) as bot:
        text, _ = await page(bot)
        assert "cannot reach" not in text
        assert "https://hub.example.org/shortcuts/result/" in text
        code = segno.make("https://hub.example.org/shortcuts/setup", error="m", micro=False).svg_inline(border=3)
        (drawn,) = re.findall(r'class="qrline" stroke="#000" d="[^"]+"', code)
        assert drawn in text
