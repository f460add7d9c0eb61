"""Nobody gets past the rule that decides: every command, as a guest, as a stranger's member, under `--as`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.registry import registry
from core.chat import Inbound
from tests.depth import first
from tests.scenario.bot import OWNER, balances, hub, let_in, prove

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.bot import Bot

OTHERS = {"award": "T-1 quill", "cancel": "T-1", "accept": "T-2", "reject": "T-2 bad", "retry": "T-3"}
LINES = {
    "task": "write a poem", "tasks": "", "show": "T-1", "bids": "T-1", "bid": "T-1 5", "deliver": "T-2 mine",
    "balance": "", "history": "", "agents": "", "market": "", "spark": "", "agent": "quill", "spawn": "quill", "dismiss": "quill",
    "ask": "what is up?", "new": "", "model": "", "pull": "phi4", "stop": "", "start": "", "help": "", "status": "", "whoami": "",
    "pair": "ABCD2345", "unpair": "telegram:9", "approve": "A-1", "deny": "A-1", "why": "", "voice": "off",
    "link": "ABCD2345 spare", "unlink": "telegram:9", "tokens": "", "revoke": "read phone",
    "invoice": "10", "pay": "telegram:9 10", "payout": "worker lnbc1", "reconcile": "", "treasury": "in 10",
    "remember": "I like tea", "memory": "tea", "forget": "tea", "limits": "day off", "freeze": "", "unfreeze": "",
    "notify": "money off", "tools": "", "think": "rain", "continue": "A-1", "briefing": "",
    "every": "day at 9 /status", "at": "noon /status", "schedules": "", "unschedule": "S-1",
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


def test_every_command_is_tried_here() -> None:
    assert set(LINES) == {command.name for command in registry}


async def test_a_guest_reaches_nothing_but_pairing_codes_and_what_they_wrote_is_not_kept(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        before = bot.tables()
        lines = [f"/{name} {rest}" for name, rest in LINES.items()] + ["what is up?"]
        answers = [(await _somebody(bot, "telegram:666", line))["error"] for line in lines[:4]]
        assert answers == ["not_paired"] * 3 + ["too_many_codes"]
        for number, line in enumerate(lines[4:]):
            more = Inbound("console", "another", f"more {number}", "console:telegram:666", "telegram:666", line)
            await bot.app.dispatcher.receive(more)
        assert bot.rows("SELECT text FROM inbound WHERE actor = 'telegram:666'") == [("",)] * 4, "nothing of the rest"
        after = bot.tables()
        assert len(after.pop("pairing")) == 3
        assert not before.pop("pairing")
        assert after == before


async def test_a_member_does_not_decide_over_the_tasks_of_others(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        await let_in(bot, "telegram:7", "member")
        before = bot.tables()
        for name, rest in OTHERS.items():
            assert await _somebody(bot, "telegram:7", f"/{name} {rest}") == {"ok": False, "error": "not_allowed"}
        for name in ("spawn", "dismiss"):
            assert await _somebody(bot, "telegram:7", f"/{name} quill") == {"ok": False, "error": "not_allowed"}
        for line in (
            "/model tiny",
            "/pull phi4",
            "/freeze",
            "/unfreeze",
            "/treasury",
            "/treasury in 5",
            "/limits day off",
            "/limits telegram:7 2k",
        ):
            assert await _somebody(bot, "telegram:7", line) == {"ok": False, "error": "not_allowed"}
        assert bot.tables() == before
        assert (await _somebody(bot, "telegram:7", "/bid T-1 5"))["ok"]


async def test_an_operator_awards_and_cancels_for_others_and_judges_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        await let_in(bot, "telegram:8", "operator")
        assert (await _somebody(bot, "telegram:8", "/accept T-2"))["error"] == "not_allowed"
        assert (await _somebody(bot, "telegram:8", "/award T-1 quill"))["winner"] == "quill"
        await bot.settled("T-1")
        assert bot.rows("SELECT actor FROM txn WHERE task = 1 AND kind = 'escrow'") == [("telegram:8",)]


async def test_money_is_shown_in_private_only(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for line in ("/balance", "/history", "/limits", "/treasury"):
            assert (await _somebody(bot, OWNER, line, private=False))["error"] == "not_allowed"
            assert (await _somebody(bot, OWNER, line))["ok"]


async def test_as_somebody_pays_and_approves_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _states(bot)
        before = bot.tables()
        for line in (
            "/award T-1 quill",
            "/accept T-2",
            "/reject T-2 bad",
            "/model tiny",
            "/freeze",
            "/unfreeze",
            "/limits day 5",
            "/treasury in 5",
        ):
            for person in (OWNER, "telegram:7"):
                answer = await bot.say(line, acting_for=person)
                assert answer["data"] == {"ok": False, "error": "not_allowed"}
                assert "--as" in answer["text"]
        assert await bot.data("/cancel T-1", acting_for="telegram:7") == {"ok": False, "error": "not_allowed"}
        assert bot.tables() == before


AS = f"{OWNER} as telegram:7"


async def test_as_somebody_is_recorded_as_such(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        me = await bot.say("/whoami", acting_for="telegram:7")
        assert me["text"].startswith(AS)
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        await bot.say("/bid T-1 5 gladly", acting_for="telegram:7")
        seen = await bot.say("/bids 1")
        assert seen["data"]["bids"][0]["agent"] == "telegram:7"
        assert f"gladly (bid by {AS})" in seen["text"], "whoever picks sees whose bid it is"
        await bot.say("/award T-1 telegram:7")
        await bot.say("/deliver T-1 roses", acting_for="telegram:7")
        assert f"delivered by {AS}" in (await bot.until(kind="more", status="delivered"))["text"]
        await bot.say("/task write another pick=ask", acting_for="telegram:7")
        await bot.say("/cancel T-2", acting_for="telegram:7")
        assert bot.rows("SELECT actor, acting_for FROM inbound WHERE text LIKE '/bid T-1%'") == [(OWNER, "telegram:7")]
        doers = "SELECT kind, data ->> 'by' FROM event WHERE data ->> 'by' IS NOT NULL ORDER BY id"
        assert bot.rows(doers) == [
            ("TaskPosted", OWNER), ("BidPlaced", AS), ("TaskAwarded", OWNER), ("TaskStarted", AS), ("TaskDelivered", AS),
            ("TaskPosted", AS), ("TaskCancelled", AS),
        ]  # fmt: skip


async def test_as_somebody_spends_the_owners_sats_and_never_theirs(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.say("/task paint the shed to=telegram:7 max=500")
        await bot.until(kind="more", task="T-1", status="bidding")
        await bot.say("/bid T-1 500", acting_for="telegram:7")
        await bot.say("/deliver T-1 done", acting_for="telegram:7")
        await bot.say("/accept T-1")
        await bot.settled("T-1")
        assert balances(bot.app.settings)["user:telegram:7"] == (500, 0)
        posted = await bot.say("/task write a poem", acting_for="telegram:7")
        assert f"{OWNER} pays" in posted["text"]
        assert (await bot.settled("T-2"))["data"]["price_sats"] == 40
        await bot.say("/task write it pick=ask", acting_for="telegram:7")
        await bot.say("/cancel T-3", acting_for="telegram:7")
        await bot.say("/retry T-3", acting_for="telegram:7")
        assert balances(bot.app.settings)["user:telegram:7"] == (500, 0)
        assert bot.rows("SELECT requester, account FROM task WHERE id > 1") == [("telegram:7", f"user:{OWNER}")] * 3
        prove(bot.app.settings)


NAMES = ["quill", "QUILL", "quill-2", "Quill-77", "echo", "hub", "Treasury", "escrow", "external", "node", "fees", "income",
    "suspense", "owner"]  # fmt: skip


async def test_no_worker_gets_a_name_of_the_hubs_own(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        taken = {}
        for name in (*NAMES, "quill-x", "quillo", "quill-"):
            await bot.link.send({"op": "token.mint", "token_kind": "worker", "name": name})
            answer = await bot.link.receive()
            assert answer is not None
            taken[name] = answer.get("error")
        assert taken == {**dict.fromkeys(NAMES, "name_reserved"), **dict.fromkeys(["quill-x", "quillo", "quill-"])}
        await bot.link.send({"op": "token.mint", "token_kind": "read", "name": "owner"})
        assert await bot.until(kind="result"), "only a worker would pass for them"


BAD_TOKENS: list[tuple[str, dict[str, object], str]] = [
    ("mint", {"token_kind": "nonsense"}, "bad_token_kind"),
    *[("mint", dict[str, object](name=name), "bad_token_name") for name in ("", "no such", "-x", "a/b", "x" * 65)],
    ("mint", {"name": "phone"}, "token_exists"),
    ("mint", {"for": OWNER}, "option_not_for_kind"),
    ("mint", {"token_kind": "worker", "task_limit": 5}, "option_not_for_kind"),
    ("mint", {"token_kind": "shortcut"}, "needs_actor"),
    ("mint", {"token_kind": "mcp"}, "needs_actor"),
    ("mint", {"token_kind": "mcp", "for": "mcp:laptop"}, "no_person"),
    ("mint", {"token_kind": "shortcut", "for": "nobody"}, "bad_actor"),
    ("mint", {"token_kind": "shortcut", "for": "shortcuts:phone"}, "no_person"),
    ("mint", {"token_kind": "shortcut", "for": "worker:w"}, "no_person"),
    ("revoke", {}, "no_such_token"),
    ("revoke", {"token_kind": "worker", "name": "phone"}, "no_such_token"),
]


async def test_a_token_of_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await _tokens(bot, "mint", token_kind="read", name="phone")
        before = bot.tables()
        for call, facts, code in BAD_TOKENS:
            refused = await _tokens(bot, call, **{"token_kind": "read", "name": "tablet", **facts})
            assert (refused["kind"], refused.get("error")) == ("error", code), facts
            assert len(refused["text"]) < 250
        assert bot.tables() == before


async def test_tokens_are_listed_without_what_opens_and_a_revoked_ones_name_is_free(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        assert "No tokens" in (await _tokens(bot, "list"))["text"]
        made = [
            (await _tokens(bot, "mint", token_kind="shortcut", name="phone", **{"for": "telegram:7"}))["text"],
            (await _tokens(bot, "mint", token_kind="read", name="phone"))["text"],
        ]
        assert (await _tokens(bot, "list"))[
            "text"
        ] == "read  phone\nshortcut  phone  for telegram:7, tasks up to 200 sats"
        assert bot.rows("SELECT task_limit FROM token ORDER BY kind") == [(None,), (200,)]
        await _tokens(bot, "revoke", token_kind="read", name="phone")
        assert (await _tokens(bot, "list"))["text"] == "shortcut  phone  for telegram:7, tasks up to 200 sats"
        made.append((await _tokens(bot, "mint", token_kind="read", name="phone"))["text"])
        assert len(set(made)) == 3


async def _tokens(bot: Bot, call: str, **facts: object) -> dict[str, Any]:
    """What the owner's call about tokens is answered."""
    await bot.link.send({"op": f"token.{call}", **facts})
    frame = await bot.link.receive()
    assert frame is not None
    return frame


async def test_who_is_sent_away_by_name_is_the_one_of_that_name(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for number, name in enumerate(("Ann", "Bob", "ann"), 1):
            stranger = Inbound(
                "console", "another", f"{number}", f"console:{number}", f"telegram:{number}", "hi", name=name
            )
            await bot.app.dispatcher.receive(stranger)
            code = (await bot.until(kind="more", text="pairing code"))["text"].split("\n")[1]
            assert (await bot.data(f"/pair {code}"))["ok"]
        for name, error in (("Ann", "shared_name"), ("Carl", "unknown_name")):
            assert await bot.data(f"/unpair {name}") == {"ok": False, "error": error}
        own = await bot.say(f"/unpair {OWNER}")
        assert own["data"] == {"ok": False, "error": "owner_by_folder"}
        assert "TIMMY_OWNER" not in own["text"]
        assert (await bot.data("/unpair bob"))["actor"] == "telegram:2"
        assert bot.rows("SELECT id FROM actor ORDER BY id") == [("telegram:1",), ("telegram:3",)]


@pytest.mark.parametrize("name", first(3, ["nobody", "", "telegram:", ":7", "Telegram:7", "telegram:7 8", "x" * 500]))
async def test_as_nobody_is_refused(tmp_path: Path, name: str) -> None:
    async with hub(tmp_path) as bot:
        refused = await bot.say("/whoami", acting_for=name)
        assert refused["data"] == {"ok": False, "error": "bad_actor"}
        assert len(refused["text"]) < 250


async def test_who_is_sent_away_by_a_name_that_is_not_one_persons_is_said(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        for number, name in ((7, "Ann"), (8, "ann"), (9, "Bob Lee")):
            await let_in(bot, f"telegram:{number}", name=name)
        nobody, shared = await bot.say("/unpair nobody"), await bot.say("/unpair ANN")
        assert nobody["text"].startswith("Nobody here goes by the name 'nobody'. Write their actor id")
        assert shared["text"] == "2 people go by the name 'ANN'. Write an actor id: telegram:7 or telegram:8."
        assert [one["data"]["error"] for one in (nobody, shared)] == ["unknown_name", "shared_name"]
        assert (await bot.data('/unpair "bob lee"'))["actor"] == "telegram:9"


async def test_why_names_the_rule_that_decided_for_each_in_their_own_place(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        assert "Nothing that needed a right" in (await bot.say("/why"))["text"]
        await let_in(bot, "telegram:5", "member")
        await bot.say("/spawn quill")
        assert (await bot.say("/why"))["text"] == (
            "/spawn was allowed: owners may spawn and stop agents\nIt needs the right to spawn and stop agents."
        )
        assert (await _somebody(bot, "telegram:5", "/spawn quill"))["error"] == "not_allowed"
        assert await _somebody(bot, "telegram:5", "/why") == {
            "ok": True, "command": "spawn", "allowed": False, "rule": "members may not. Ask the hub's owner.",
        }  # fmt: skip
        await bot.say("/whoami")
        assert (await bot.data("/why"))["command"] == "spawn"
