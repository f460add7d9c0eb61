"""The treasury of a whole hub: sats in and out, its earnings, its budgets, and what its owners are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.chat import Role
from tests.scenario.bot import OWNER, balances, hub, prove
from tests.scenario.test_l402_gate import done, selling

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.bot import Bot

ANN = "telegram:7"
TOLD = "SELECT body ->> 'text' FROM outgoing WHERE conversation = ? ORDER BY id"


async def let_in(bot: Bot, role: Role) -> None:
    await bot.app.store.write(lambda tx: tx.tokens.give(ANN, role, "Ann", tx.now))
    await bot.app.hub.identities.refresh()


async def test_sats_are_moved_in_and_out_and_shown_with_what_was_earned(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, Role.OWNER)
        assert (await bot.say("/treasury in 500", id="once"))["text"] == "Moved 500 simulated sats into the treasury"
        await bot.post("/treasury in 500", id="once")  # the very same message again
        assert (await bot.data("/treasury out 120"))["ok"] is True
        assert balances(bot.app.settings)["treasury"] == (380, 0)
        await bot.say("/task write a poem")
        await bot.settled("T-1")
        shown = await bot.say("/treasury")
        assert shown["text"].split("\n")[:6] == [
            "The treasury has 420 simulated sats free",
            "               earned   spent",
            "today          40 sats  0 sats",
            "last 24 hours  40 sats  0 sats",
            "in all         40 sats  0 sats",
            "earned in all: the hub's own agents 40",
        ]
        assert "owners moved 500 sats in and 120 sats out" in shown["text"]
        assert shown["data"]["today"] == {
            "earned_sats": 40, "spent_sats": 0, "moved_in_sats": 500, "moved_out_sats": 120,
        }  # fmt: skip
        bot.pass_time(2 * 86400)
        later = await bot.data("/treasury")
        assert (later["day"]["earned_sats"], later["whole"]["earned_sats"]) == (0, 40)
        told = [text for (text,) in bot.rows(TOLD, ANN)]
        assert told == [
            f"{OWNER} moved 500 sats into the treasury.", f"{OWNER} moved 120 sats out of the treasury.",
        ]  # fmt: skip
        for line, error in (
            ("/treasury out 421", "treasury_lacks"), ("/treasury sideways 5", "bad_choice"), ("/treasury in", "missing_argument"),
            ("/treasury in 0", "bad_amount"), ("/treasury in 1.5", "bad_amount"), ("/treasury in 5 6", "too_many"),
            ("/treasury in 999999", "not_enough_sats"),
        ):  # fmt: skip
            answer = await bot.data(line)
            assert answer["ok"] is False or answer.get("approval"), line
            if not answer.get("approval"):
                assert answer["error"] == error, line
        await bot.say("/treasury out 5", acting_for=ANN)
        assert balances(bot.app.settings)["treasury"] == (420, 0), "--as moves nothing"
        prove(bot.app.settings)


async def test_above_the_limit_an_owner_taps_and_no_payer_does(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, Role.PAYER)
        await bot.say(f"/limits {ANN} 50k")
        asked = await bot.say("/treasury in 2000")
        assert "Move 2,000 simulated sats into the treasury?" in asked["text"]
        assert bot.rows(TOLD, ANN) == [], "a payer is not asked"
        assert "treasury" not in balances(bot.app.settings)
        agreed = await bot.say(f"/approve {asked['data']['approval']}")
        assert "Moved 2,000 simulated sats into the treasury" in agreed["text"]
        assert balances(bot.app.settings)["treasury"] == (2000, 0)
        prove(bot.app.settings)


async def test_a_budget_that_is_used_up_turns_strangers_away_and_its_owners_raise_it(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.buy(await stranger.ask("POST", "/v1/tasks?calls=3", json={"description": "find it"}))
        assert (await done(bot, stranger, (await stranger.task("find it", key="a")).body["task_id"]))[
            "status"
        ] == "settled"
        await bot.say("/limits treasury.day 120")
        for key in "bb":  # the second time nobody is told again
            said = await stranger.task("find it", key=key)
            assert said.error == (503, "no_funds")
            assert "120" not in said.body["error"]["message"]
        assert bot.rows("SELECT count(*) FROM l402_call") == [(1,)]
        told = await bot.until(kind="more", scope="treasury.day")
        assert "the treasury's budget treasury.day of 120 sats is used up" in told["text"]
        assert told["data"]["proposed_sats"] == 240
        assert "scope" not in str(bot.unread), "once"
        assert [button["command"] for button in told["buttons"]] == ["/limits treasury.day 240"]
        await bot.say("/limits treasury.day 240")
        assert (await done(bot, stranger, (await stranger.task("find it", key="b")).body["task_id"]))[
            "status"
        ] == "settled"
        await bot.say("/freeze")
        assert (await stranger.task("find it", key="c")).error == (503, "no_funds")
        await bot.say("/unfreeze")
        found = await bot.data("/treasury")
        assert (found["whole"]["earned_sats"], found["whole"]["spent_sats"]) == (380, 80)
        prove(bot.app.settings)


async def test_a_treasury_without_sats_is_told_once(tmp_path: Path) -> None:
    async with selling(tmp_path) as (bot, stranger):
        stranger.buy(await stranger.task("find it"))
        assert (await stranger.task("find it", key="a", max_sats=90)).status == 202
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE status = 'settled'"), "its end")
        await bot.say("/treasury out 100")
        stranger.cashier.store = None  # what was paid went elsewhere
        stranger.buy(await stranger.task("find it"))
        for _ in range(2):
            assert (await stranger.task("find it")).error == (503, "no_funds")
        told = await bot.until(kind="more", text="A stranger's task of 100 sats was turned away")
        assert "/treasury in SATS" in told["text"]
        await bot.barrier()
        assert "turned away" not in str(bot.unread)
