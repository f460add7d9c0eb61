"""What nobody should send: each is answered with one clear line and a code, and changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.replies import NOT_UNDERSTOOD
from config import personas
from core.chat import Inbound
from tests.depth import first
from tests.ollama_server import OllamaServer
from tests.scenario.bot import OWNER, hub

if TYPE_CHECKING:
    from pathlib import Path

LINES = {
    "": "message_empty",
    " \t\n ": "message_empty",
    "x" * 100_000: "message_too_long",
    "/task " + "ä" * 50_000: "message_too_long",
    "/task " + "x" * 9_000: "too_many_words",
    "/frobnicate": "unknown_command",
    "/tsak summarise welcome.md": "unknown_command",
    "/task": "missing_argument",
    "/task max=50": "missing_argument",
    '/task ""': "no_work",
    "/task summarise welcome.md max=-5": "bad_amount",
    "/task summarise welcome.md max=0": "bad_amount",
    "/task summarise welcome.md max=0.5": "bad_amount",
    "/task summarise welcome.md max=lots": "bad_amount",
    "/task summarise welcome.md max=99999999999999999999": "bad_amount",
    "/task summarise welcome.md max=2100000000000000": "not_enough_sats",
    "/task summarise welcome.md max=10001": "not_enough_sats",
    "/task summarise welcome.md by=never": "bad_duration",
    "/task summarise welcome.md by=31d": "bad_deadline",
    "/task summarise welcome.md to=nobody": "unknown_agent",
    "/task summarise welcome.md to=telegram:": "bad_actor",
    "/task summarise welcome.md to=telegram:ann": "bad_actor",
    "/task summarise welcome.md to=telegram:0": "bad_actor",
    "/task summarise welcome.md to=matrix:ann": "bad_actor",
    "/task summarise welcome.md to=matrix:ann@example.org": "bad_actor",
    "/task summarise welcome.md pick=maybe": "bad_choice",
    "/task summarise missing.md": "file_missing",
    "/task summarise ../data/hub.db": "outside_workspace",
    "/task summarise ../../../../etc/passwd": "outside_workspace",
    "/task summarise /etc/passwd": "outside_workspace",
    "/task summarise link.md": "outside_workspace",
    "/task summarise .env": "file_closed",
    "/task summarise id_rsa": "file_closed",
    "/task summarise .git/config.md": "file_closed",
    "/task summarise picture.md": "file_binary",
    "/show T-99": "unknown_task",
    "/show welcome.md": "bad_task_id",
    "/show -1": "bad_task_id",
    "/show": "missing_argument",
    "/bids T-99": "unknown_task",
    "/bid T-99 5": "unknown_task",
    "/bid T-1 -5": "bad_amount",
    "/award T-1 nobody": "wrong_state",
    "/award T-1": "missing_argument",
    "/deliver T-1 done": "wrong_state",
    "/accept T-99": "unknown_task",
    "/reject T-99 why not": "unknown_task",
    "/cancel T-1": "wrong_state",
    "/retry T-99": "unknown_task",
    "/task chart sample.csv top 2 revenue by region": "chart_unable",
    "/task chart sample.csv revenue by region for Lamp only": "chart_unable",
    "/tasks lost": "bad_status",
    "/tasks open now": "too_many",
    "/history many": "bad_number",
    "/history -1": "bad_number",
    "/balance sheet": "too_many",
    "/invoice": "missing_argument",
    "/invoice 0": "bad_amount",
    "/invoice -5": "bad_amount",
    "/invoice 2.5": "bad_amount",
    "/invoice 2100000000000001": "bad_amount",
    f"/invoice 5 {'x' * 640}": "memo_too_long",
    "/pay": "missing_argument",
    "/pay lnbc1": "bad_invoice",
    "/pay lightning:LNBCRT10N1": "bad_invoice",
    "/payout quill lnbc1": "own_persona",
    "/payout": "missing_argument",
    "/pay bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 50": "cannot_pay_to",
    "/pay 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 50": "cannot_pay_to",
    "/pay bitcoin:3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy 50": "cannot_pay_to",
    "/pay ann@wallet.example 50": "cannot_pay_to",
    "/pay LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35 50": "cannot_pay_to",
    "/pay treasury 50": "into_treasury",
    "/limits approve 0": "zero_limit",
    "/limits day 0 sats": "zero_limit",
    "/reconcile book=9": "not_that_difference",
    "/agent nobody": "unknown_agent",
    "/spawn nobody": "unknown_persona",
    "/dismiss nobody": "unknown_agent",
    "/help frobnicate": "unknown_command",
    "/model no such": "too_many",
    "what is up?": "model_unreachable",
}


async def test_each_bad_line_gets_one_clear_line_and_changes_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path, worker=None, personas=personas.load()) as bot:
        workspace = bot.app.settings.workspace
        (workspace / ".git").mkdir()
        for name in (".env", "id_rsa", ".git/config.md"):
            (workspace / name).write_text("PASSWORD=hunter2-is-long-enough")
        (workspace / "picture.md").write_bytes(bytes(range(256)) * 16)
        (workspace / "link.md").symlink_to(bot.app.settings.data_dir / "hub.db")
        await bot.say("/task summarise welcome.md")
        await bot.settled("T-1")
        before, wrong = bot.tables(), dict[str, object]()
        for line, code in LINES.items():
            answer = await bot.say(line)
            text = answer["text"].removesuffix("\n" + NOT_UNDERSTOOD)
            found = (answer["data"], text.count("\n"), len(text) < 400, "hunter2" in text)
            if found != ({"ok": False, "error": code}, 0, True, False):
                wrong[line[:60]] = answer
            if bot.tables() != before:
                wrong[line[:60]] = "it changed something"
                before = bot.tables()
        assert wrong == {}


async def test_where_a_task_takes_a_model_and_there_is_none_the_line_says_so(tmp_path: Path) -> None:
    needs = (
        "needs a model: No model answers at http://127.0.0.1:9. Start Ollama (ollama serve) or set TIMMY_OLLAMA_URL."
    )
    said = {
        "proofread the press release": "quill",
        "paint me a cat": "pixel",
        "write a poem to=pixel": "pixel",
        "hum along": "forge, lyra, pixel, reel",
    }
    async with hub(tmp_path, worker=None, personas=personas.load()) as bot:
        for number, (what, who) in enumerate(said.items(), 1):
            await bot.say(f"/task {what}")
            assert (await bot.ends(f"T-{number}"))["text"] == f"T-{number} failed and cost nothing: {who}: {needs}"
        assert (await bot.say("/task outline welcome.md to=pixel"))["data"] == {"ok": False, "error": "not_their_work"}


async def test_plain_words_that_no_model_can_take_are_told_to_be_no_command(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for said, told in (("what is up?", True), ("/ask what is up?", False), ("/model", False)):
            first, *more = (await bot.say(said))["text"].split("\n")
            assert first.startswith("No model answers at ")
            assert more == [NOT_UNDERSTOOD] * told


@pytest.mark.parametrize("said", first(2, ["yes", "y", "no", "go ahead"]))
async def test_a_yes_or_no_that_nobody_asked_for_and_no_model_can_take_is_told_so(tmp_path: Path, said: str) -> None:
    async with hub(tmp_path) as bot:
        answer = await bot.say(said)
    assert answer["data"] == {"ok": False, "error": "nothing_asked"}
    assert answer["text"].startswith("No question waits for your answer here")


async def test_a_bare_yes_answers_the_newest_question_while_nothing_else_was_said(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest") as model, hub(tmp_path, ollama=model.url) as bot:
        await bot.say("have quill write a letter")
        await bot.say("have quill write a poem")
        posted = await bot.say("yes")
        assert posted["text"].endswith("\nYou said yes to: write a poem to=quill")
        for words in ("Glad to hear it", "Four", "Five?"):
            model.says(words)
        assert (await bot.say("yes"))["text"] == "Glad to hear it", "the older question is closed"
        await bot.say("have quill write a song")
        assert (await bot.say("what is 2+2?"))["text"] == "Four"
        assert (await bot.say("yes"))["text"] == "Five?"
        assert bot.rows("SELECT description FROM task") == [("write a poem",)]


async def test_a_bare_yes_is_no_answer_to_what_was_asked_before_the_agent_spoke(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest") as model, hub(tmp_path, ollama=model.url) as bot:
        gate = asyncio.Event()
        model.says(gate, "Four. Shall I add one?")
        await bot.post("what is 2+2?")
        await bot.say("have quill write a poem")
        gate.set()
        await bot.until(kind="reply", text="Four. Shall I add one?")
        answer = await bot.say("yes")
        assert answer["data"]["error"] == "between"
        assert bot.rows("SELECT count(*) FROM task") == [(0,)]
        await bot.say("have quill write a poem")
        assert (await bot.say("yes"))["data"]["task"] == "T-1", "this was asked since"


@pytest.mark.long
async def test_a_yes_that_a_stop_broke_off_is_carried_out_at_the_next_start(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("have somebody write a letter")
        await bot.say("have somebody write a poem")
        yes = Inbound("console", "owner", "broken off", OWNER, OWNER, "yes")
        number = await bot.app.store.write(lambda tx: tx.messages.receive(yes, tx.now))
        caller = await bot.app.hub.identities.caller(OWNER, private=True)
        assert await bot.app.dispatcher._taps.answer(yes._replace(id=number), caller, yes=True)
    async with hub(tmp_path) as bot:
        await bot.settled("T-1")
        assert bot.rows("SELECT description FROM task") == [("write a poem",)]


@pytest.mark.long
async def test_the_answer_to_a_yes_names_a_long_task_in_short_and_says_it_of_what_was_posted_alone(
    tmp_path: Path,
) -> None:
    async with hub(tmp_path) as bot:
        await bot.say(f"have somebody write a poem about {'rain ' * 20}and snow pick=ask")
        posted = await bot.say("yes")
        assert posted["text"].endswith(f"\nYou said yes to: write a poem about {'rain ' * 12}r…")
        assert (await bot.data("cancel task 1"))["asks"] == "/cancel T-1"
        cancelled = await bot.say("yes")
        assert (cancelled["data"]["task"], "You said yes" in cancelled["text"]) == ("T-1", False), "it is named already"


async def test_a_yes_that_nobody_asked_for_is_the_models_where_there_is_one(tmp_path: Path) -> None:
    async with OllamaServer.running("tiny:latest") as model, hub(tmp_path, ollama=model.url) as bot:
        model.says("Glad to hear it")
        assert (await bot.say("yes"))["text"] == "Glad to hear it"


async def test_what_is_no_text_is_taken_as_far_as_it_is_one(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for number, text in enumerate(["/task write \ud800 it", "/task write \0 it", "/task write \x1b[31mit"], 1):
            assert (await bot.data(text))["task"] == f"T-{number}"
            assert (await bot.settled(f"T-{number}"))["data"]["status"] == "settled"
        assert await bot.data("\udcff") == {"ok": False, "error": "model_unreachable"}


async def test_a_frame_that_is_none_of_ours_is_answered(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for frame in ({}, {"op": 5}, {"op": "format"}, {"op": ["say"]}):
            await bot.link.send(frame)
            assert (await bot.until(kind="error"))["error"] == "unknown_request"
        await bot.link.send({"op": "say"})
        assert (await bot.until(kind="reply"))["data"] == {"ok": False, "error": "message_empty"}
        await bot.link.send({"op": "say", "text": 5, "id": 6, "as": 7})
        assert (await bot.until(kind="reply"))["data"] == {"ok": False, "error": "bad_actor"}
        await bot.link.send({"op": "token.mint"})
        assert (await bot.until(kind="error"))["text"]
        assert (await bot.data("/whoami"))["ok"], "the link outlives all of it"
