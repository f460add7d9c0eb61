"""Nobody gets past the rule that decides: every command, as a guest, as a stranger's member, under `--as`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.registry import registry
from core.chat import Inbound
from tests.scenario.bot import OWNER, hub

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from tests.scenario.bot import Bot

OPEN_TO_ALL = {"start", "help", "whoami"}
OTHERS = {"award": "T-1 quill", "cancel": "T-1", "accept": "T-2", "reject": "T-2 bad", "retry": "T-3"}
LINES = {
    "task": "write a poem", "tasks": "", "show": "T-1", "bids": "T-1", "bid": "T-1 5", "deliver": "T-2 mine",
    "balance": "", "history": "", "agents": "", "agent": "quill", "spawn": "quill", "dismiss": "quill",
    "ask": "what is up?", "new": "", "model": "", "stop": "", "start": "", "help": "", "status": "", "whoami": "",
    "pair": "ABCD2345", "unpair": "telegram:9",
    **OTHERS,
}  # fmt: skip


async def _somebody(bot: Bot, actor: str, text: str, *, private: bool = True) -> dict[str, Any]:
    """What an actor is answered who is not the console's owner."""
    number = len(bot.rows("SELECT id FROM inbound"))
    message = Inbound("console", "another", str(number), f"console:{actor}", actor, text, private=private)
    await bot.app.dispatcher.receive(message)
    frame = await bot.until(kind="more")
    facts: dict[str, Any] = frame["data"]
    return facts


async def _states(bot: Bot) -> None:
    """T-1 with bids, T-2 delivered by the owner, T-3 over; all of them the owner's."""
    await bot.say("/task write a poem pick=ask")
    await bot.until(kind="more", task="T-1", status="bidding")
    await bot.say(f"/task paint the shed to={OWNER}")
    await bot.until(kind="more", task="T-2", status="bidding")
    await bot.say("/bid T-2 5")
    await bot.until(kind="more", task="T-2", status="awarded")
    await bot.say("/deliver T-2 done")
    await bot.until(kind="more", task="T-2", status="delivered")
    await bot.say("/task write a letter")
    await bot.settled("T-3")


async def _let_in(bot: Bot, actor: str, role: str) -> None:
    def work(tx: UnitOfWork) -> None:
        tx._connection.execute("INSERT INTO actor (id, role, since) VALUES (?, ?, 0)", (actor, role))

    await bot.app.store.write(work)


def test_every_command_is_tried_here() -> None:
    assert set(LINES) == {command.name for command in registry}


async def test_a_guest_reaches_nothing_but_pairing_codes_and_what_they_wrote_is_not_kept(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        before = bot.tables()
        lines = [f"/{name} {rest}" for name, rest in LINES.items()] + ["what is up?"]
        answers = [(await _somebody(bot, "telegram:666", line))["error"] for line in lines]
        assert answers == ["not_paired"] * 3 + ["too_many_codes"] * (len(lines) - 3)
        assert {*bot.rows("SELECT text FROM inbound WHERE actor = 'telegram:666'")} == {("",)}
        after = bot.tables()
        assert len(after.pop("pairing")) == 3
        assert not before.pop("pairing")
        assert after == before


async def test_a_member_does_not_decide_over_the_tasks_of_others(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        await _let_in(bot, "telegram:7", "member")
        before = bot.tables()
        for name, rest in OTHERS.items():
            assert await _somebody(bot, "telegram:7", f"/{name} {rest}") == {"ok": False, "error": "not_allowed"}
        for name in ("spawn", "dismiss"):
            assert await _somebody(bot, "telegram:7", f"/{name} quill") == {"ok": False, "error": "not_allowed"}
        assert await _somebody(bot, "telegram:7", "/model tiny") == {"ok": False, "error": "not_allowed"}
        assert bot.tables() == before
        assert (await _somebody(bot, "telegram:7", "/bid T-1 5"))["ok"]


async def test_an_operator_awards_and_cancels_for_others_and_judges_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        await _let_in(bot, "telegram:8", "operator")
        assert (await _somebody(bot, "telegram:8", "/accept T-2"))["error"] == "not_allowed"
        assert (await _somebody(bot, "telegram:8", "/award T-1 quill"))["winner"] == "quill"
        await bot.settled("T-1")
        assert bot.rows("SELECT actor FROM txn WHERE task = 1 AND kind = 'escrow'") == [("telegram:8",)]


async def test_money_is_shown_in_private_only(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for line in ("/balance", "/history"):
            assert (await _somebody(bot, OWNER, line, private=False))["error"] == "not_allowed"
            assert (await _somebody(bot, OWNER, line))["ok"]


async def test_as_somebody_pays_and_approves_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        before = bot.tables()
        for line in ("/award T-1 quill", "/accept T-2", "/reject T-2 bad", "/model tiny"):
            for person in (OWNER, "telegram:7"):
                answer = await bot.say(line, acting_for=person)
                assert answer["data"] == {"ok": False, "error": "not_allowed"}
                assert "--as" in answer["text"]
        assert await bot.data("/cancel T-1", acting_for="telegram:7") == {"ok": False, "error": "not_allowed"}
        assert bot.tables() == before


async def test_as_somebody_is_recorded_as_such_and_spends_only_what_they_have(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        me = await bot.say("/whoami", acting_for="telegram:7")
        assert me["text"].startswith("console:owner as telegram:7")
        assert await bot.data("/task write a poem", acting_for="telegram:7") == {
            "ok": False,
            "error": "not_enough_sats",
        }
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await bot.say("/bid T-1 5", acting_for="telegram:7")
        assert (await bot.data("/bids 1"))["bids"][0]["agent"] == "telegram:7"
        assert bot.rows("SELECT actor, acting_for FROM inbound WHERE text LIKE '/bid T-1%'") == [(OWNER, "telegram:7")]


@pytest.mark.parametrize("name", ["nobody", "", "telegram:", ":7", "Telegram:7", "telegram:7 8", "x" * 500])
async def test_as_nobody_is_refused(tmp_path: Path, name: str) -> None:
    async with hub(tmp_path) as bot:
        refused = await bot.say("/whoami", acting_for=name)
        assert refused["data"] == {"ok": False, "error": "bad_actor"}
        assert len(refused["text"]) < 250
