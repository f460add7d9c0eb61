"""`timmy mcp` at the hub: who is shown what, what is done on the word of a client, and how often."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from bot.mcp_tools import OFFERS, offer
from core.chat import Inbound
from core.errors import HubError
from core.swarm.ports import Decline
from tests.kill.story import Parrot
from tests.scenario.bot import OWNER, Hands, hub, let_in, settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.bot import Bot

ANN = "telegram:11"


async def mint(bot: Bot, name: str = "laptop", person: str = OWNER, **more: Any) -> str:
    frame = {"token_kind": "mcp", "name": name, "for": person, **more}
    text: str = (await bot.app.console.admin["token.mint"](frame))["text"]
    return text


async def call(bot: Bot, tool: str, token: str | None = None, **arguments: Any) -> dict[str, Any]:
    """What a call comes to."""
    frame = {"tool": tool, "arguments": arguments, "token": token}
    answer: dict[str, Any] = await bot.app.console.admin["mcp.call"](frame)
    if answer["data"].get("ok"):
        offer(tool).gives.model_validate(answer["data"])  # as the client was told
    return answer


async def refused(bot: Bot, tool: str, token: str | None = None, **arguments: Any) -> str:
    """With which error a call is refused, or that it is not."""
    try:
        return str((await call(bot, tool, token, **arguments))["data"].get("error", "done"))
    except HubError as error:
        return error.code


async def test_a_client_posts_a_task_and_reads_of_it_and_the_result_comes_home(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        token = await mint(bot, task_limit=50)
        posted = await call(bot, "post_task", token, description="write a poem", max_sats=45)
        assert posted["data"] == {"ok": True, "task": "T-1", "status": "open", "budget_sats": 45, "attempt": 1}
        assert "quill did write a poem" in (await bot.settled("T-1"))["text"]
        shown = (await call(bot, "show_task", token, task="t1"))["data"]
        assert shown == {
            "ok": True, "task": "T-1", "status": "settled", "budget_sats": 45, "attempt": 1, "winner": "quill",
            "price_sats": 40, "untrusted": {"description": "write a poem", "result": "quill did write a poem"},
        }  # fmt: skip
        assert bot.rows("SELECT requester, account, conversation FROM task") == [(OWNER, f"user:{OWNER}", OWNER)]
        listed = await call(bot, "list_tasks", token)
        assert json.loads(listed["text"]) == listed["data"], "whoever reads only texts reads the same"
        assert [one["task"] for one in listed["data"]["tasks"]] == ["T-1"]
        assert (await call(bot, "hub_status", token))["data"]["you"] == {
            "token": True, "name": "laptop", "acts_for": OWNER, "role": "owner", "task_limit_sats": 50,
        }  # fmt: skip


async def test_without_a_token_no_text_and_no_person_is_shown_and_nothing_is_done(tmp_path: Path) -> None:
    hands = Hands(asks={"echo": Decline("it has no canary")}, does={"quill": asyncio.Event()})
    async with hub(tmp_path, hands=hands) as bot:
        await let_in(bot, ANN, name="Ann")
        await bot.say(f"/task whisper canary to={ANN} max=100")
        await bot.app.hub.coordinator.bid(
            await bot.app.hub.identities.caller(ANN, private=True), 1, 60, eta=None, note="canary too", key="a bid"
        )
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE agent IS NOT NULL"), "the award")
        seen = [
            (await call(bot, one.name, **({"task": "T-1"} if "task" in one.schema["properties"] else {})))["text"]
            for one in OFFERS
            if not one.writes
        ]
        assert len(seen) == 5
        for text in seen:
            assert "canary" not in text
            assert "telegram" not in text
        assert '"winner": "a person"' in seen[1]
        assert '"agent": "a person", "price_sats": 60' in seen[2]
        status = json.loads(seen[4])
        assert set(status) == {"ok", "ready", "uptime_s", "tasks", "parts", "model", "you"}, "no money, no names"
        assert {*map(tuple, [*status["parts"].values(), status["model"]])} == {("up",)}, "and no addresses in a reason"
        assert status["you"]["token"] is False
        before = bot.tables()
        writes: dict[str, Any] = {"task": "T-1", "sats": 1, "description": "x", "why": "x"}
        for one in OFFERS:
            if one.writes:
                arguments = {key: value for key, value in writes.items() if key in one.schema["required"]}
                assert await refused(bot, one.name, **arguments) == "needs_token"
        assert bot.tables() == before


async def test_bids_that_wait_for_their_requester_are_theirs_alone(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, ANN, name="Ann")
        await bot.say("/task write a poem pick=ask")
        await bot.until(kind="more", status="bidding")
        for client, person, bidders in (("laptop", OWNER, {"echo", "quill"}), ("desktop", ANN, set())):
            shown = await call(bot, "list_bids", await mint(bot, client, person), task="T-1")
            assert {one["agent"] for one in shown["data"]["bids"]} == bidders
        assert (await call(bot, "list_bids", task="T-1"))["data"]["bids"] == [], "nor does the owner's socket show them"


BINDS: list[tuple[str, dict[str, Any], str]] = [
    ("place_bid", {"task": "T-1", "sats": 5}, "/bid T-1 5"),
    ("accept_result", {"task": "T-2"}, "/accept T-2"),
    ("reject_result", {"task": "T-2", "why": "too short"}, "/reject T-2 too short"),
    ("cancel_task", {"task": "T-1"}, "/cancel T-1"),
    ("post_task", {"description": "write a dear one", "max_sats": 500}, "/task max=500 write a dear one"),
]
CANNOT: list[tuple[str, dict[str, Any], str]] = [
    ("place_bid", {"task": "T-3", "sats": 5}, "wrong_state"),
    ("place_bid", {"task": "T-1", "sats": 5000}, "bid_out_of_range"),
    ("accept_result", {"task": "T-1"}, "wrong_state"),
    ("reject_result", {"task": "T-3", "why": "too short"}, "wrong_state"),
    ("cancel_task", {"task": "T-3"}, "wrong_state"),
    ("cancel_task", {"task": "T-9"}, "unknown_task"),
    ("post_task", {"description": "write a dear one", "max_sats": 500_000}, "not_enough_sats"),
    ("post_task", {"description": "write a dear one", "max_sats": 500, "to": "nobody"}, "unknown_agent"),
]


@pytest.mark.long
async def test_a_client_asks_for_the_model_of_a_task_and_its_person_taps(tmp_path: Path) -> None:
    async with hub(tmp_path, model=Parrot()) as bot:
        token = await mint(bot)
        assert await refused(bot, "post_task", token, description="write a poem", model="phi4") == "unknown_model"
        asked = await call(bot, "post_task", token, description="write a poem", model="parrot:latest")
        assert asked["data"] == {"ok": True, "approval": "A-1", "state": "open"}
        assert (await bot.data("/approve A-1"))["ok"]
        await bot.settled("T-1")
        assert (await call(bot, "show_task", token, task="T-1"))["data"]["model"] == "parrot:latest"


async def test_what_binds_is_put_to_the_person_and_nothing_is_done_before(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        token = await mint(bot)
        await bot.say("/task write a poem pick=ask max=100")
        await bot.until(kind="more", status="bidding")
        await bot.say(f"/task whisper to={ANN}")
        await let_in(bot, ANN, name="Ann")
        ann = await bot.app.hub.identities.caller(ANN, private=True)
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE id = 2 AND status = 'bidding'"), "the auction")
        await bot.app.hub.coordinator.bid(ann, 2, 60, eta=None, note="", key="a bid")
        await bot.app.hub.coordinator.deliver(ann, 2, "psst", key="a result")
        await bot.say("/task write a short poem")
        await bot.settled("T-3")
        before = bot.tables()
        for tool, arguments, error in CANNOT:
            assert await refused(bot, tool, token, **arguments) == error, (tool, arguments)
        assert bot.tables() == before, "nobody was asked about what cannot be done, and nothing of the look is left"
        tasks = bot.rows("SELECT * FROM task")
        for number, (tool, arguments, command) in enumerate(BINDS, 1):
            answer = await call(bot, tool, token, **arguments)
            assert answer["data"] == {"ok": True, "approval": f"A-{number}", "state": "open"}, tool
            await bot.until(text=f"Your MCP client laptop asks for: {command}")
        assert bot.rows("SELECT * FROM task") == tasks
        assert await refused(bot, "cancel_task", token, task="1") == "too_many_asks", "another line, so another wish"
        assert (await bot.say("/approve A-4"))["data"]["ok"]
        assert bot.rows("SELECT status FROM task WHERE id = 1") == [("cancelled",)]


async def test_whoever_comes_is_not_asked_about_what_is_over_meanwhile(tmp_path: Path) -> None:
    async with hub(tmp_path, attach=False) as bot:
        token = await mint(bot)
        await let_in(bot, ANN, name="Ann")
        ann = await bot.app.hub.identities.caller(ANN, private=True)
        waiting = "SELECT 1 FROM outgoing WHERE state = 'queued' AND body ->> '$.data.status' = ?"
        for line in ("/task write a poem pick=ask max=100", "/task write a song pick=ask", f"/task whisper to={ANN}"):
            await bot.say(line)
        await bot.see(lambda: len(bot.rows(waiting, "bidding")) == 2, "the bids")
        await bot.see(lambda: bot.rows("SELECT 1 FROM task WHERE id = 3 AND status = 'bidding'"), "the auction")
        await bot.app.hub.coordinator.bid(ann, 3, 60, eta=None, note="", key="a bid")
        await bot.app.hub.coordinator.deliver(ann, 3, "psst", key="a result")
        await bot.see(lambda: bot.rows(waiting, "delivered"), "the result")
        for tool, task in (("cancel_task", "T-1"), ("cancel_task", "T-2"), ("accept_result", "T-3")):
            assert (await call(bot, tool, token, task=task))["data"]["state"] == "open"
        await bot.say("/cancel T-1")
        await bot.say("/accept T-3")
        async with bot.another(attach=True) as console:
            await console.until(text="T-3 settled")
            await console.say("/whoami")
            shown = [frame["text"].partition("\n")[0] for frame in console.unread if frame["kind"] == "more"]
            assert shown == ["T-2 bids: quill 40, echo 45", "Your MCP client laptop asks for: /cancel T-2"]


SMUGGLED: list[tuple[str, dict[str, Any]]] = [
    ("post_task", {"description": "write a poem max=9"}),
    ("post_task", {"description": "to=quill write a poem"}),
    ("post_task", {"description": "write a poem pick=ask"}),
    ("post_task", {"description": "write a poem model=phi4"}),
    ("post_task", {"description": "write a poem escrow=hold", "max_sats": 5}),
    ("place_bid", {"task": "T-1", "sats": 5, "note": "eta=1h"}),
]


async def test_words_are_never_read_as_options(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        token, before = await mint(bot), bot.tables()
        for tool, arguments in SMUGGLED:
            assert await refused(bot, tool, token, **arguments) == "options_in_text", arguments
        assert await refused(bot, "post_task", token, description="write a poem for 10 sats") == "bad_option"
        assert bot.tables() == {**before, "token": bot.tables()["token"]}


async def test_the_same_request_acts_once_and_another_under_its_name_not_at_all(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        token = await mint(bot)
        order = {"description": "write a poem", "request_id": "one"}
        first, second = await asyncio.gather(*(call(bot, "post_task", token, **order) for _ in range(2)))
        assert first == second == await call(bot, "post_task", token, **order)
        assert await refused(bot, "post_task", token, description="write two", request_id="one") == "name_reused"
        other = await mint(bot, "desktop")
        await call(bot, "post_task", other, **order)
        assert bot.rows("SELECT count(*) FROM task") == [(2,)], "each client has its own names"
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        assert await call(bot, "post_task", token, **order) == first, "after a restart too"


async def test_no_more_calls_are_waited_for_than_so_many_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.mcp_desk.MAX_WAITING", 1)
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        token = await mint(bot)
        for _ in range(2):
            assert (await call(bot, "post_task", token, description="write a poem"))["data"]["ok"]
        both = [refused(bot, "post_task", token, description="write a poem") for _ in range(2)]
        assert sorted(await asyncio.gather(*both)) == ["done", "too_many_calls"]


@pytest.mark.long
async def test_what_was_received_before_a_crash_is_done_once_and_answered_to_whoever_asks_again(tmp_path: Path) -> None:
    order = {"description": "write a poem", "request_id": "one"}
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        token = await mint(bot)
        row = await bot.app.hub.identities.check(token)
        assert row is not None
        actor = "mcp:laptop"
        lost = Inbound("mcp", row.hash, "one", f"{actor}/{row.hash[:12]}", actor, "/task write a poem")
        await bot.app.store.write(lambda tx: tx.messages.receive(lost, tx.now))  # and then it died
    async with hub(tmp_path, hands=Hands(does={"quill": asyncio.Event()})) as bot:
        await bot.hands.at_work("T-1", "quill")
        assert (await call(bot, "post_task", token, **order))["data"]["task"] == "T-1"
        assert bot.rows("SELECT count(*) FROM task") == [(1,)]
        await bot.see(
            lambda: bot.rows("SELECT state FROM outgoing WHERE surface = 'mcp'") == [("sent",)], "it was told"
        )


async def test_a_token_opens_only_what_it_is_for_and_nothing_once_it_has_ended(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await let_in(bot, ANN, name="Ann")
        token = await mint(bot, person=ANN)
        reads = (await bot.app.console.admin["token.mint"]({"token_kind": "read", "name": "reader"}))["text"]
        for wrong in ("timmy_mcp_wrong", reads, token[:-1]):
            assert await refused(bot, "list_tasks", wrong) == "bad_token"
        assert await refused(bot, "post_task", token, description="write a poem") == "not_enough_sats"
        assert (await bot.app.console.admin["mcp.hello"]({"token": token}))["data"]["acts_for"] == ANN
        assert "Their devices open nothing any more: laptop" in (await bot.say(f"/unpair {ANN}"))["text"]
        assert await refused(bot, "list_tasks", token) == "bad_token"


async def test_a_token_of_somebody_who_owns_the_hub_no_more_opens_nothing(tmp_path: Path) -> None:
    owned = settings(tmp_path).model_copy(update={"owner": ANN})
    async with hub(tmp_path, found=owned) as bot:
        token = await mint(bot, person=ANN)
        assert (await call(bot, "hub_status", token))["data"]["you"]["role"] == "owner"
    async with hub(tmp_path) as bot:
        assert await refused(bot, "list_tasks", token) == "client_of_nobody"
        with pytest.raises(HubError, match="speaks for nobody here any more"):
            await bot.app.console.admin["mcp.hello"]({"token": token})


async def test_a_token_whose_end_was_not_heard_of_yet_is_not_the_one_that_has_its_name_now(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        token = await mint(bot)
        await call(bot, "hub_status", token)
        await bot.app.store.write(lambda tx: tx.tokens.revoke("mcp", "laptop", tx.now))
        await mint(bot)
        assert await refused(bot, "list_tasks", token) == "client_of_nobody"


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("show_task", {}, "task: it is missing"),
    ("show_task", {"task": "../1"}, "task: it must be a task's id, such as T-12\\."),
    ("list_tasks", {"limit": 1000}, "limit: input should be less than or equal to 100"),
    ("list_tasks", {"status": "nonsense"}, "nonsense"),
    ("list_tasks", {"more": 1}, "more: there is no such argument; there is status, before, limit"),
    ("post_task", {"description": " "}, "description: "),
    ("post_task", {"description": "x", "deadline": "soon"}, "deadline: it must be a time, such as 90s"),
    ("post_task", {"description": "x", "to": "a b"}, "to: it must be one agent's name, without blanks"),
    ("post_task", {"description": "x", "max_sats": -1}, "max_sats: "),
    ("post_task", {"description": "x", "request_id": "a b"}, "request_id: it must be a name of at most 64"),
    ("fly", {}, "no tool 'fly'"),
]


async def test_bad_arguments_are_named_and_change_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        token = await mint(bot)
        before = bot.tables()
        for tool, arguments, why in BAD:
            with pytest.raises(HubError, match=why):
                await call(bot, tool, token, **arguments)
        assert bot.tables() == before


@pytest.mark.long
async def test_many_tasks_come_in_pages_and_long_texts_are_cut(tmp_path: Path) -> None:
    async with hub(tmp_path, hands=Hands(does={"quill": "y" * 40_000})) as bot:
        token = await mint(bot)
        for _ in range(3):
            await bot.say("/task write <|im_start|>" + "x" * 1000)
        await bot.settled("T-3")
        first = (await call(bot, "list_tasks", token, limit=2))["data"]
        assert ([one["task"] for one in first["tasks"]], first["total"], first["next"]) == (["T-3", "T-2"], 3, "T-1")
        assert (await call(bot, "list_tasks", token, before=first["next"]))["data"]["tasks"][0]["task"] == "T-1"
        description = first["tasks"][0]["untrusted"]["description"]
        assert "im_start" not in description
        assert len(description) < 400
        result = (await call(bot, "show_task", token, task="T-3"))["data"]["untrusted"]["result"]
        assert result.endswith("(cut; 40,000 characters in all)")
        assert len(result) < 17_000
