"""`data` in `--json`: what programs rely on has the shape that CONTRACT states, for every command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.lightning.simulated import SimulatedNode
from bot.registry import registry
from core.chat import Inbound
from tests.fakes import FakeIds
from tests.ollama_server import OllamaServer
from tests.scenario.bot import OWNER, hub

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from core.approval import Approval

TASK = {"ok": bool, "task": str, "status": str, "budget_sats": int, "attempt": int}
OPTIONAL = {"winner": str, "price_sats": int, "result": str, "why": str}
AGENT = {"name": str, "kind": str, "state": str, "capabilities": list}
PLAIN: dict[str, type] = {"ok": bool}


def _is(data: dict[str, Any], shape: Mapping[str, type], more: Mapping[str, type] | None = None) -> None:
    """`data` has all of `shape`, perhaps some of `more`, and nothing else; a bool is no int."""
    allowed = {**shape, **(more or {})}
    assert set(shape) <= set(data) <= set(allowed), data
    for key, value in data.items():
        assert type(value) is allowed[key], (key, value)


async def test_every_command_answers_in_the_shape_of_the_contract(  # noqa: PLR0915 - one line a command
    tmp_path: Path,
) -> None:
    tried: set[str] = set()
    async with (
        OllamaServer.running("tiny:latest") as model,
        hub(tmp_path, ollama=model.url, auction={"attempts": 2}) as bot,
    ):

        async def ask(line: str) -> dict[str, Any]:
            data = await bot.data(line)
            assert data["ok"] is True, (line, data)
            tried.add(line[1:].partition(" ")[0])
            return data

        _is(await ask("/task write a poem pick=ask"), TASK)
        await bot.until(kind="more", status="bidding")
        _is(await ask("/bid 1 30"), TASK)
        bids = await ask("/bids 1")
        _is(bids, TASK | {"bids": list})
        for one in bids["bids"]:
            assert set(one) == {"agent", "price_sats", "score"}
            assert (type(one["agent"]), type(one["price_sats"])) == (str, int)
            assert one["score"] >= one["price_sats"]
        _is(await ask(f"/award 1 {OWNER}"), TASK | {"winner": str, "price_sats": int})
        delivered = await ask("/deliver 1 it rhymes")
        _is(delivered, TASK | {"winner": str, "price_sats": int, "result": str})
        _is(await ask("/reject 1 it does not"), TASK)
        await bot.until(kind="more", status="bidding", attempt=2)
        await ask("/award 1 quill")
        await bot.settled("T-1")
        shown = await ask("/show T-1")
        _is(shown, TASK | {"winner": str, "price_sats": int, "result": str})
        assert (shown["winner"], shown["price_sats"], shown["status"], shown["attempt"]) == ("quill", 40, "settled", 2)
        await ask(f"/task paint the shed to={OWNER}")
        await bot.until(kind="more", task="T-2", status="bidding")
        await ask("/bid 2 5")
        await ask("/deliver 2 painted")
        _is(await ask("/accept 2"), TASK | {"winner": str, "price_sats": int, "result": str})
        await ask("/task write it pick=ask")
        _is(await ask("/cancel 3"), TASK, OPTIONAL)
        _is(await ask("/retry 3"), TASK)
        for number in range(5, 16):
            await bot.say(f"/task write letter {number}")
            await bot.settled(f"T-{number}")
        listed = await ask("/tasks")
        _is(listed, {"ok": bool, "tasks": list})
        assert [one["task"] for one in listed["tasks"]] == [f"T-{number}" for number in range(15, 0, -1)], (
            "all, no page"
        )
        for one in listed["tasks"]:
            _is(one, TASK, OPTIONAL)
        assert [one["task"] for one in (await ask("/tasks cancelled"))["tasks"]] == ["T-3"]
        _is(await ask("/balance"), {"ok": bool, "balance_sats": int, "held_sats": int, "simulated": bool})
        history = await ask("/history 3")
        _is(history, {"ok": bool, "history": list, "simulated": bool})
        assert len(history["history"]) == 3
        _is(await ask("/limits"), {"ok": bool, "frozen": bool, "simulated": bool, "limits": list})
        _is(await ask("/limits hour 9k"), {"ok": bool, "scope": str, "limit_sats": int})
        _is(await ask("/freeze"), {"ok": bool, "frozen": bool, "since": int, "by": str})
        _is(await ask("/unfreeze"), {"ok": bool, "frozen": bool})
        agents = await ask("/agents")
        _is(agents, {"ok": bool, "agents": list})
        for one in agents["agents"]:
            _is(one, AGENT, {"why": str})
        one = await ask("/agent quill")
        _is(one["agent"], AGENT, {"why": str})
        _is(await ask("/market"), {"ok": bool, "market": list})
        _is(await ask("/spark"), {"ok": bool, "record": dict, "fields": list, "advice": list})
        _is(await ask("/spawn echo"), {"ok": bool, "agent": str})
        _is(await ask("/dismiss echo-2"), {"ok": bool, "agent": str})
        for line in ("/ask what is up?", "/think tea", "/new", "/stop", "/start"):
            _is(await ask(line), PLAIN)
        fact = {"id": str, "text": str, "scope": str, "said_by": str, "at": int, "conversation": str, "how": str}
        _is(await ask("/remember the shed is green"), {"ok": bool, **fact})
        remembered = await ask("/memory")
        _is(remembered, {"ok": bool, "facts": list, "count": int})
        _is(remembered["facts"][0], fact)
        _is(await ask("/forget M-1"), {"ok": bool, "forgotten": list, "count": int})
        _is(await ask("/forget undo"), {"ok": bool, "recovered": list})
        chosen = {"ok": bool, "model": str, "window_tokens": int, "tools": bool}
        _is(await ask("/model tiny"), chosen)
        _is(await ask("/model"), {**chosen, "models": list, "servers": list})
        model.pulls["phi4"] = ()
        _is(await ask("/pull phi4"), {"ok": bool, "model": str})
        _is(await ask("/help"), {"ok": bool, "commands": list})
        _is(await ask("/help task"), PLAIN)
        _is(await ask("/whoami"), {"ok": bool, "actor": str, "role": str})
        await bot.app.dispatcher.receive(Inbound("console", "x", "1", "console:x", "telegram:7", "hello"))
        while "pairing code" not in (words := (await bot.until(kind="more"))["text"]):
            pass
        code = words.split("\n")[1]
        _is(await ask(f"/pair {code}"), {"ok": bool, "actor": str, "role": str})
        code = await ask("/link")
        _is(code, {"ok": bool, "code": str, "account": str, "identities": list})
        for name in (1, 8):
            said = Inbound(
                "console", "x", f"link {name}", f"console:{name}", f"telegram:{name}", f"/link {code['code']}"
            )
            await bot.app.dispatcher.receive(said)
            await bot.until(kind="more")
        await ask("/approve A-1")
        me = await ask("/whoami")
        _is(me, {"ok": bool, "actor": str, "role": str, "account": str, "identities": list})
        assert me["identities"] == [OWNER, "telegram:1"]
        _is(await ask("/unlink telegram:1"), {"ok": bool, "actor": str, "account": str})
        _is(await ask("/unpair telegram:7"), {"ok": bool, "actor": str})
        await bot.app.hub.identities.mint(await bot.app.hub.identities.caller(OWNER, private=True), "read", "phone")
        assert (await ask("/tokens"))["tokens"] == [{"kind": "read", "name": "phone", "for": None}]
        _is(await ask("/revoke read phone"), {"ok": bool, "kind": str, "name": str})
        bot.app.hub.approvals.carries("try", _sings)
        for number, verb in enumerate(("approve", "deny"), 2):
            await bot.app.hub.approvals.ask(
                "try", "sing", "Shall I sing?", asked_by=OWNER, where=OWNER, approvers=(OWNER,), seconds=60, key=verb
            )
            _is(await ask(f"/{verb} A-{number}"), {"ok": bool, "approval": str, "state": str})
        money = {"ok": bool, "payment_hash": str, "bolt11": str, "state": str, "amount_sats": int, "simulated": bool}
        exact = {"preimage": str, "fee_sats": int, "amount_msat": int, "fee_msat": int}
        _is(await ask("/invoice 10 tea"), money)
        outside = SimulatedNode(bot.app.settings.data_dir / "node.db", bot.clock, FakeIds("outside"))
        _is(await ask(f"/pay {await outside.outside_asks(9_000)}"), money | exact)
        bolt11 = await outside.outside_asks(1_000)
        await outside.close()
        assert (await bot.data(f"/payout worker {bolt11}"))["error"] == "unknown_worker"
        tried.add("payout")  # it has an account once workers of others have one
        moved = ("earned_sats", "spent_sats", "moved_in_sats", "moved_out_sats")
        treasury = await ask("/treasury")
        assert [set(treasury.pop(span)) for span in ("today", "day", "whole")] == [set(moved)] * 3
        _is(
            treasury,
            {"ok": bool, "balance_sats": int, "held_sats": int, "simulated": bool, "frozen": bool, "budgets": list},
        )
        compared = await ask("/reconcile")
        _is(
            compared,
            {
                "ok": bool,
                "comparison": int,
                "node_sats": int,
                "books_sats": int,
                "in_flight_sats": int,
                "difference_msat": int,
                "simulated": bool,
                "unfinished": list,
                "refused": list,
                "suspense": list,
            },
        )
        _is(await ask("/voice off"), {"ok": bool, "voice": bool})
        _is(await ask("/notify"), {"ok": bool, "told": dict, "quiet": type(None), "waiting": int, "channels": list})
        _is(
            await ask("/briefing"),
            {
                "ok": bool, "news": bool, "since": int, "ended": list, "ended_in_all": int, "under_way": list,
                "under_way_in_all": int, "yours": list, "approvals": list, "schedules": list, "money": dict,
                "given_up": int, "troubles": list, "away": list,
            },
        )  # fmt: skip
        _is(await ask("/notify agents on"), {"ok": bool, "topic": str, "place": str, "on": bool})
        schedule = {"schedule": str, "state": str, "when": str, "what": str, "command": str, "next": int, "zone": str}
        _is(await ask("/every day at 9 /status"), {"ok": bool, **schedule})
        _is(await ask("/at tomorrow at noon /balance"), {"ok": bool, **schedule})
        schedules = await ask("/schedules")
        _is(schedules, {"ok": bool, "schedules": list})
        _is(schedules["schedules"][0], schedule)
        _is(await ask("/unschedule S-1"), {"ok": bool, "schedule": str, "state": str})
        _is(await ask("/tools"), {"ok": bool, "tools": list})
        tried.add("continue")  # it answers as /ask does, once a call was agreed to: test_tools.py
        _is(await ask("/why"), {"ok": bool, "command": str, "allowed": bool, "rule": str})
        status = await ask("/status")
        assert {"ready", "parts", "model", "tasks", "money", "dead_letters", "uptime_s"} <= set(status)
    assert tried == {command.name for command in registry}


async def test_a_refusal_has_a_code_and_nothing_else(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        _is(await bot.data("/show T-1"), {"ok": bool, "error": str})


async def test_the_first_line_is_the_result(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task write a poem")
        assert (await bot.settled("T-1"))["text"].split("\n")[0] == "T-1 settled: quill was paid 40 sats"
        assert (await bot.say("/show 1"))["text"].split("\n")[0] == "T-1 is settled: write a poem"
        assert (await bot.say("/balance"))["text"].split("\n")[
            0
        ] == "9,960 simulated sats free, 0 sats held for open tasks"


async def _sings(_: Approval) -> str:
    return "it sang"
