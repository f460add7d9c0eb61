"""Who hears of what: the requester of what others do to their task, a person who won one of what becomes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.subscriptions import NOTIFIED
from core.chat import Inbound, Reply
from core.tokens import home_of
from tests.scenario.bot import OWNER, PATIENCE, Hands, hub
from tests.scenario.shortcuts import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from adapters.sqlite.unit_of_work import UnitOfWork
    from tests.scenario.bot import Bot

ANN = "telegram:5"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    """A hub that Ann is a member of, on Telegram; nobody takes there what is sent to her, so it stays to be read."""
    async with hub(tmp_path, auction={"attempts": 2}) as bot:
        await bot.app.store.write(_let_ann_in)
        yield bot


def _let_ann_in(tx: UnitOfWork) -> None:
    tx._connection.execute("INSERT INTO actor (id, role, since) VALUES (?, 'member', 0)", (ANN,))


async def _ann(bot: Bot, text: str, conversation: str = ANN) -> str:
    """Ann says something; returns her answer."""
    ((count,),) = bot.rows("SELECT count(*) FROM inbound")
    message = Inbound("telegram", "bot", str(count), conversation, ANN, text)
    await bot.app.dispatcher.receive(message)
    query = "SELECT body ->> 'text' FROM outgoing WHERE cause = ?"
    async with asyncio.timeout(PATIENCE):
        while not (found := bot.rows(query, message.key)):
            await bot.app.store.read(lambda tx: tx.now)
    return str(found[0][0])


async def _told(bot: Bot, conversation: str = ANN) -> list[str]:
    """What a conversation was told of its own accord (the first lines), once everything that happened was told."""
    async with asyncio.timeout(PATIENCE):
        while await bot.app.store.read(_behind):
            await bot.barrier()
    query = "SELECT body ->> 'text' FROM outgoing WHERE cause IS NULL AND conversation = ? ORDER BY id"
    return [str(text).split("\n")[0] for (text,) in bot.rows(query, conversation)]


def _behind(tx: UnitOfWork) -> bool:
    return any(event.kind in NOTIFIED for event in tx.events_after(tx.cursor("notify"), 1000))


async def _until_told(bot: Bot, text: str, conversation: str = ANN) -> list[str]:
    told: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while not any(text in one for one in told):
            told = await _told(bot, conversation)
    return told


def test_where_the_hub_reaches_whom() -> None:
    assert home_of(OWNER) == OWNER
    assert home_of(ANN) == ANN
    assert home_of("matrix:@ann:example.org") == "matrix:@ann:example.org"
    assert home_of(f"{OWNER} as {ANN}") == OWNER
    assert [home_of(one) for one in ("quill", "hub", "", "worker:x", "schedule:1", "shortcuts:phone", "peer:y")] == [
        None
    ] * 7


async def test_the_requester_hears_that_somebody_else_cancelled(bot: Bot) -> None:
    await bot.app.store.write(_grant_ann)
    await _ann(bot, "/task write a poem pick=ask")
    await _until_told(bot, "bids:")
    await bot.say("/cancel T-1")
    assert (await _until_told(bot, "cancelled"))[-1] == f"T-1 was cancelled by {OWNER} and cost nothing"
    assert await _told(bot, OWNER) == [], "whoever did it was answered"


async def test_the_requester_hears_of_it_where_it_was_posted(bot: Bot) -> None:
    await bot.app.store.write(_grant_ann)
    await _ann(bot, "/task write a poem pick=ask", "telegram:-100")
    await _until_told(bot, "bids:", "telegram:-100")
    await _ann(bot, "/cancel T-1")
    await _until_told(bot, f"cancelled by {ANN}", "telegram:-100")
    assert await _told(bot) == []


async def test_what_one_cancels_oneself_is_not_told_twice(bot: Bot) -> None:
    await bot.app.store.write(_grant_ann)
    await _ann(bot, "/task write a poem pick=ask")
    await _until_told(bot, "bids:")
    await _ann(bot, "/cancel T-1")
    await _ann(bot, "/task write another")
    assert all("cancelled" not in one for one in await _until_told(bot, "T-2 settled"))


async def test_a_person_who_wins_is_told_at_home_and_so_is_what_becomes_of_their_work(bot: Bot) -> None:
    await bot.say("/task paint the shed pick=ask")
    await bot.until(kind="more", status="bidding")
    await _ann(bot, "/bid T-1 7")
    assert f"{ANN} 7" in (await bot.until(kind="more", status="bidding"))["text"], "an offer that came later is told"
    assert await _told(bot) == [], "she was answered"
    await bot.say(f"/award T-1 {ANN}")
    assert await _until_told(bot, "yours") == ["T-1 is yours for 7 sats: paint the shed"]
    assert (await bot.until(kind="more", status="awarded"))["text"] == f"T-1 is {ANN}'s for 7 sats"
    await _ann(bot, "/deliver T-1 it is red")
    await bot.until(kind="more", status="delivered")
    await bot.say("/accept T-1")
    assert (await _until_told(bot, "paid"))[1:] == ["T-1 is accepted: you were paid 7 sats"]


async def test_a_person_whose_work_is_not_wanted_is_told_so(bot: Bot) -> None:
    for number in (1, 2):
        await bot.say("/task paint the shed pick=ask")
        await bot.until(kind="more", task=f"T-{number}", status="bidding")
        await _ann(bot, f"/bid T-{number} 7")
        await bot.say(f"/award T-{number} {ANN}")
    await _ann(bot, "/deliver T-1 it is red")
    await bot.say("/reject T-1 green was asked for")
    assert (await _until_told(bot, "not accepted"))[-1] == "T-1 was not accepted: green was asked for"
    await bot.say("/cancel T-2")
    assert (await _until_told(bot, "cancelled"))[-1].startswith(f"T-2 was cancelled by {OWNER}")
    await bot.say(f"/task paint it to={ANN} by=1h")
    await bot.until(kind="more", task="T-3", status="bidding")
    assert "is yours" in await _ann(bot, "/bid T-3 7")
    bot.pass_time(3600)
    told = await _until_told(bot, "T-3 has")
    assert f"T-3 is up for bids by {ANN}, for 60 min" in told, "whoever is asked by name is told"
    assert told[-1] == "T-3 has expired; there is nothing more to do"
    assert "T-3 is yours for 7 sats: paint it" not in told, "she was answered when she won by bidding"


async def test_the_requester_hears_that_an_owner_rejected_for_them(bot: Bot) -> None:
    await bot.app.store.write(_grant_ann)
    await _ann(bot, f"/task paint the shed to={OWNER}")
    await _until_told(bot, "waits for a bid")
    await bot.say("/bid T-1 7")
    await bot.say("/deliver T-1 it is red")
    await bot.say("/reject T-1 I can do better")
    told = await _until_told(bot, "I can do better")
    assert any("I can do better" in one for one in told)


def _grant_ann(tx: UnitOfWork) -> None:
    from core.wallet.ledger import EXTERNAL, transfer, user_account  # noqa: PLC0415

    entry = transfer(
        "ann", "grant", EXTERNAL, user_account(ANN), 1_000_000, task=None, actor="hub", reason="to start with"
    )
    tx.ledger.append(entry)


async def test_what_waits_of_surfaces_is_for_who_owns_the_hub_now_and_about_those_that_there_are(
    tmp_path: Path,
) -> None:
    found = listening(tmp_path)

    def queue(tx: UnitOfWork) -> None:
        for about, whom in (("shortcuts", "telegram:9"), ("matrix", OWNER), ("shortcuts", OWNER)):
            notice = Reply(f"{about} is down.", {"ok": False, "surface": about})
            tx.messages.queue(whom.partition(":")[0], whom, notice, None, tx.now)

    async with hub(tmp_path, found=found) as bot:
        await bot.app.store.write(queue)
    async with hub(tmp_path, found=found, attach=False) as bot:
        assert bot.rows("SELECT conversation, body ->> '$.text' FROM outgoing") == [(OWNER, "shortcuts is down.")]


async def test_what_a_worker_wrote_is_set_apart_whatever_it_looks_like(tmp_path: Path) -> None:
    lie = "\nT-2 settled: echo was paid 900 sats\nA-1: /approve A-1 or /deny A-1"
    async with hub(tmp_path, hands=Hands(does={"quill": lie})) as bot:
        await bot.say("/task write a poem")
        shown = [await bot.settled("T-1"), await bot.say("/show T-1")]
        assert "\nquill for 40 sats\nwhat quill delivered:\n\n" in shown[1]["text"]
        for frame in shown:
            text = frame["text"]
            bold, quote = frame["marks"]
            assert text[slice(*bold[:2])].startswith("T-1 ")
            assert text[slice(*quote[:2])].strip() == lie.strip()
            assert (quote[1], quote[2]) == (len(text), "quote")
        await bot.app.store.write(
            lambda tx: tx._connection.execute("UPDATE task SET status = 'failed', why = ? WHERE id = 1", (f"no{lie}",))
        )
        assert "\nreason: no T-2 settled: echo was paid 900 sats A-1: " in (await bot.say("/show T-1"))["text"]
