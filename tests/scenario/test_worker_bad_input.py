"""What no worker should send: each is refused with a status that /openapi.json has and one clear sentence, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from adapters.web.worker_api import LARGEST
from core.swarm.board import MOST_POLLS
from core.swarm.tray import MOST_ANSWERS
from core.tokens import NameReserved
from tests.scenario.bot import hub
from tests.scenario.crew import workers
from tests.scenario.test_workers import posted, soon, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.scenario.bot import Bot
    from tests.scenario.crew import Worker

OPEN, BOYS, CLOSED, DONE, OWN, LOST, FOR_BOY = (f"T-{number}" for number in range(1, 8))
"""What there is: an auction, boy's work, what was called off, what box did, is at, and gave up, and an auction for boy alone."""

BID = {"task_id": OPEN, "agent_id": "box", "bid_sats": 5}
SAYS = {
    "heartbeat": {},
    "progress": {"text": "half"},
    "result": {"result": "done"},
    "fail": {"reason": "why"},
    "handback": {},
}
JOIN: dict[str, Any] = {"name": "box", "capabilities": ["any"], "concurrency": 9}

Case = tuple[str, str, Any, int, str]
Try = tuple[str, str, dict[str, str], bytes | None, int, str]
"""What it is, and a request: method, headers, body; status and code of its refusal."""

OF_ALL = ("405", "415")
"""What any route may say, whatever it is for."""

BAD: list[Case] = [
    ("POST", "agents", {**JOIN, "concurrency": 101}, 422, "bad_concurrency"),
    ("POST", "agents", {**JOIN, "concurrency": -1}, 422, "bad_concurrency"),
    ("POST", "agents", {**JOIN, "concurrency": True}, 422, "bad_body"),
    ("POST", "agents", {**JOIN, "capabilities": ["a;b"]}, 422, "bad_capability"),
    ("POST", "agents", {**JOIN, "capabilities": [""]}, 422, "bad_capability"),
    ("POST", "agents", {**JOIN, "capabilities": ["x" * 65]}, 422, "bad_capability"),
    ("POST", "agents", {**JOIN, "capabilities": [f"c{n}" for n in range(33)]}, 422, "bad_capability"),
    ("POST", "agents", {**JOIN, "capabilities": "any"}, 422, "bad_body"),
    ("POST", "agents", {**JOIN, "owner": True}, 422, "bad_body"),
    ("POST", "agents", {**JOIN, "name": "boy"}, 403, "not_this_agent"),
    ("POST", "agents", {**JOIN, "name": "quill"}, 403, "not_this_agent"),
    ("POST", "bids", {**BID, "bid_sats": 0}, 422, "bid_out_of_range"),
    ("POST", "bids", {**BID, "bid_sats": -5}, 422, "bid_out_of_range"),
    ("POST", "bids", {**BID, "bid_sats": 101}, 422, "bid_out_of_range"),
    ("POST", "bids", {**BID, "bid_sats": 10**40}, 422, "bid_out_of_range"),
    ("POST", "bids", {**BID, "bid_sats": 1.5}, 422, "bad_body"),
    ("POST", "bids", {**BID, "bid_sats": "5"}, 422, "bad_body"),
    ("POST", "bids", {**BID, "bid_sats": None}, 422, "bad_body"),
    ("POST", "bids", {**BID, "refuse": True}, 422, "bad_body"),
    ("POST", "bids", {**BID, "eta_s": -1}, 422, "bad_deadline"),
    ("POST", "bids", {**BID, "eta_s": 10**30}, 422, "bad_deadline"),
    ("POST", "bids", {**BID, "task_id": "T-99"}, 404, "unknown_task"),
    ("POST", "bids", {**BID, "task_id": "x"}, 422, "bad_task_id"),
    ("POST", "bids", {**BID, "task_id": BOYS}, 409, "wrong_state"),
    ("POST", "bids", {**BID, "task_id": CLOSED}, 409, "wrong_state"),
    ("POST", "bids", {**BID, "task_id": DONE}, 409, "wrong_state"),
    ("POST", "bids", {**BID, "task_id": FOR_BOY}, 409, "not_invited"),
    ("POST", "bids", {**BID, "task_id": LOST}, 409, "had_its_turn"),
    ("POST", "bids", {**BID, "agent_id": "boy"}, 403, "not_this_agent"),
    *(
        ("POST", "bids", {"task_id": task, "agent_id": "box", "refuse": True, "note": "boy is bad at it"}, refused, code)
        for task, refused, code in (
            ("T-99", 404, "unknown_task"), (CLOSED, 409, "wrong_state"), (FOR_BOY, 409, "not_invited"), (LOST, 409, "had_its_turn"),
        )
    ),
    ("GET", "tasks?wait=26", None, 422, "bad_wait"),
    ("GET", "tasks?wait=x", None, 422, "bad_wait"),
    ("GET", "tasks?wait=-1", None, 422, "bad_wait"),
    ("GET", "tasks?wait=1.5", None, 422, "bad_wait"),
    ("GET", "assignments", None, 403, "not_this_agent"),
    ("GET", "assignments?agent_id=boy", None, 403, "not_this_agent"),
    ("GET", "assignments?agent_id=box&wait=26", None, 422, "bad_wait"),
    *(
        ("POST", f"tasks/{task}/{what}", {"lease_token": lease, **more}, refused, code)
        for what, more in SAYS.items()
        for task, lease, refused, code in (
            (OWN, "x", 409, "stale_lease"), (OWN, "", 409, "stale_lease"), (OWN, "lease of T-4", 409, "stale_lease"),
            (OWN, "lease of T-2", 409, "stale_lease"), (BOYS, "lease of T-2", 409, "stale_lease"),
            (OPEN, "x", 409, "stale_lease"), (OPEN, "", 409, "stale_lease"), (CLOSED, "", 409, "stale_lease"),
            ("T-99", "x", 404, "unknown_task"), ("x", "x", 422, "bad_task_id"),
        )
    ),
    *(
        ("POST", f"tasks/{LOST}/{what}", {"lease_token": "lease of T-6", **more}, 409, "stale_lease")
        for what, more in SAYS.items() if what != "fail"
    ),
    ("POST", f"tasks/{DONE}/result", {"lease_token": "lease of T-4", "result": "another"}, 409, "stale_lease"),
    ("POST", f"tasks/{DONE}/fail", {"lease_token": "lease of T-4", "reason": "it was bad"}, 409, "stale_lease"),
    ("POST", f"tasks/{OWN}/progress", {"lease_token": "lease of T-5", "text": " "}, 422, "no_words"),
    ("POST", f"tasks/{OWN}/result", {"lease_token": "lease of T-5", "result": " \n"}, 422, "no_words"),
    ("POST", f"tasks/{OWN}/result", {"lease_token": "lease of T-5", "result": "y" * 32_769}, 413, "text_too_long"),
    *(
        ("POST", f"tasks/{OWN}/result", {"lease_token": "lease of T-5", "result": "", "files": files}, refused, code)
        for files, refused, code in (
            ([{"name": "a.txt", "content_base64": "!"}], 422, "bad_content"),
            ([{"name": "a.txt"}], 422, "bad_body"),
            ([{"name": "a.txt", "content_base64": "QQ==", "mode": 7}], 422, "bad_body"),
            ([{"name": f"{n}.txt", "content_base64": "QQ=="} for n in range(51)], 413, "result_too_large"),
        )
    ),
]  # fmt: skip


@dataclass
class World:
    """A hub that has all of it, and what the leases are."""

    bot: Bot
    box: Worker
    boy: Worker
    leases: dict[str, str]

    def filled(self, body: Any) -> Any:
        """A body with the real leases in it."""
        lease = body.get("lease_token") if body else None
        return body if lease is None else {**body, "lease_token": self.leases.get(lease, lease)}

    async def document(self) -> dict[str, Any]:
        """The paths of `/openapi.json` that are for workers, by what follows `/internal/`."""
        token = (await self.bot.app.console.admin["token.mint"]({"token_kind": "read", "name": "reader"}))["text"]
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.bot.app.address}/openapi.json", headers=headers) as answer,
        ):
            told = await answer.json()
        self.schemas = told["components"]["schemas"]
        start = "/internal/"
        return {path.removeprefix(start): found for path, found in told["paths"].items() if path.startswith(start)}


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with hub(folder) as bot, workers(bot, "box", "boy") as (box, boy):
        for agent in (await bot.data("/agents"))["agents"]:
            await bot.data(f"/dismiss {agent['name']}")
        await box.enrol("counting", concurrency=9)
        await boy.enrol("counting", concurrency=9)
        leases = {}

        async def held(who: Worker) -> str:
            task = await posted(bot, f"/task do it max=100 to={who.name}")
            leases[f"lease of {task}"] = await who.won(task, 10)
            return task

        assert await posted(bot, "/task counting sheep max=100") == OPEN
        assert await held(boy) == BOYS
        await bot.data(f"/cancel {await posted(bot, '/task counting cows max=100')}")
        for task in (DONE, OWN):
            assert await held(box) == task
        await box.deliver(DONE, leases[f"lease of {DONE}"], "done")
        assert await posted(bot, "/task counting goats max=100") == LOST
        await boy.refuse(LOST)
        leases[f"lease of {LOST}"] = await box.won(LOST, 10)
        await box.post(f"tasks/{LOST}/fail", lease_token=leases[f"lease of {LOST}"], reason="no idea")
        assert await posted(bot, "/task do it max=100 to=boy") == FOR_BOY
        await bot.barrier()
        found = [status(bot, f"T-{number}") for number in range(1, 8)]
        assert found == ["bidding", "running", "cancelled", "delivered", "running", "bidding", "bidding"]
        yield World(bot, box, boy, leases)


def unclear(said: Any) -> bool:
    """Whether a refusal is anything but a code and one clear sentence or two."""
    if not isinstance(said, dict) or said.keys() != {"error"} or said["error"].keys() != {"code", "message"}:
        return True
    message = said["error"]["message"]
    return not (
        message[-1] == "." and "\n" not in message and len(message) < 300 and re.match("[A-Z'\"]|box ", message)
    )


async def test_what_is_wrong_is_refused_in_one_sentence_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as it:
        told = await it.document()
        before = it.bot.tables()
        wrong = []
        for method, path, body, refused, code in BAD:
            found = await it.box.ask(method, path, it.filled(body))
            if unclear(it.box.said) or (found, it.box.said["error"]["code"]) != (refused, code):
                wrong.append((method, path, body, found, it.box.said))
            if str(refused) not in told[_template(path)][method.lower()]["responses"]:
                wrong.append((method, path, body, found, "is no status that /openapi.json has"))
        assert wrong == [], "\n".join(map(str, wrong))
        assert it.bot.tables() == before
        assert {_template(path) for _, path, *_ in BAD} == told.keys(), "every route that is served"
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def _template(path: str) -> str:
    """A path as `/openapi.json` has it."""
    parts = path.partition("?")[0].split("/")
    return "/".join([parts[0], "{id}", parts[2]] if len(parts) > 2 else parts)


GOOD: dict[str, Any] = {
    "agents": JOIN, "bids": BID, **{f"tasks/{{id}}/{what}": {"lease_token": "x", **more} for what, more in SAYS.items()},
}  # fmt: skip


def _bodies(good: Any, schema: dict[str, Any]) -> Iterator[tuple[str, bytes, dict[str, str], int, str]]:
    """Bodies that are wrong on every route: (what, body, headers, status, code)."""
    for what, raw in {
        "nothing": b"", "half of it": b"{", "a form": b"name=box", "no UTF-8": b'{"name": "\xff"}',
        "XML": b"<a/>", "deep": b"[" * 50_000,
    }.items():  # fmt: skip
        yield what, raw, {}, 400, "body_not_json"
    yield "a form by its type", b"name=box", {"Content-Type": "application/x-www-form-urlencoded"}, 400, "body_not_json"
    yield "packed", json.dumps(good).encode(), {"Content-Encoding": "gzip"}, 415, "packed_body"
    values: tuple[Any, ...] = ([], "x", 5, None, True, float("nan"))
    for value in values:
        yield f"{value!r}", json.dumps(value).encode(), {}, 422, "bad_body"
    for field in schema["required"]:
        yield f"{field} is null", json.dumps({**good, field: None}).encode(), {}, 422, "bad_body"
        rest = {name: value for name, value in good.items() if name != field}
        yield f"no {field}", json.dumps(rest).encode(), {}, 422, "bad_body"
    for field in schema["properties"]:
        yield f"{field} is an object", json.dumps({**good, field: {"a": 1}}).encode(), {}, 422, "bad_body"
    yield "unknown field", json.dumps({**good, "admin": True}).encode(), {}, 422, "bad_body"


def _wrong(path: str, methods: dict[str, Any], schemas: dict[str, Any], token: str) -> Iterator[Try]:
    """Requests that are wrong on every route."""
    for method in methods:
        for what, header, code in (
            ("no token", {}, "no_token"),
            ("a wrong token", {"Authorization": "Bearer timmy_worker_x"}, "bad_token"),
            ("no bearer", {"Authorization": token.replace("Bearer", "Basic")}, "bad_token"),
        ):
            yield what, method.upper(), header, b"{}" if method == "post" else None, 401, code
    own = {"Authorization": token}
    yield "another method", "PUT", own, b"{}", 405, "method_not_allowed"
    if "post" in methods:
        schema = methods["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for what, raw, more, status_, code in _bodies(GOOD[path], schemas[schema]):
            yield what, "POST", own | more, raw, status_, code
        if path != "tasks/{id}/result":
            yield "too large", "POST", own, b"x" * (LARGEST + 1), 413, "body_too_large"


async def test_no_route_takes_what_is_none_of_its_bodies_or_who_has_no_token(tmp_path: Path) -> None:
    async with world(tmp_path) as it, aiohttp.ClientSession() as session:
        told = await it.document()
        assert {path for path, methods in told.items() if "post" in methods} == GOOD.keys(), (
            "every route that takes a body"
        )
        before = it.bot.tables()
        wrong = []
        for path, methods in told.items():
            url = f"{it.bot.app.address}/internal/{path.replace('{id}', OWN)}"
            for what, method, headers, raw, status_, code in _wrong(
                path, methods, it.schemas, f"Bearer {it.box.token}"
            ):
                async with session.request(method, url, data=raw, headers=headers) as answer:
                    said = await answer.json()
                known = {*methods.get(method.lower(), {"responses": ()})["responses"], *OF_ALL}
                if (
                    unclear(said)
                    or (answer.status, said["error"]["code"]) != (status_, code)
                    or str(answer.status) not in known
                ):
                    wrong.append((what, method, path, answer.status, said))
        assert wrong == [], "\n".join(map(str, wrong))
        assert it.bot.tables() == before


async def test_a_result_of_a_hundred_megabytes_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as it:
        before = it.bot.tables()
        host = it.bot.app.address.removeprefix("http://")
        head = f"POST /internal/tasks/{OWN}/result HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {it.box.token}\r\n"
        sizes = {"said": f"Content-Length: {100 * 2**20}\r\n\r\n", "not said": "Transfer-Encoding: chunked\r\n\r\n"}
        monkeypatch.setattr("adapters.web.worker_api.LARGEST_RESULT", 2**20)
        for size, end in sizes.items():
            reader, writer = await asyncio.open_connection(*host.split(":"))
            writer.write(f"{head}{end}".encode())
            if size == "not said":
                with suppress(ConnectionError):
                    for _ in range(20):
                        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                        await writer.drain()
            assert b" 413 " in await soon(reader.readline()), size
            writer.transport.abort()
        assert it.bot.tables() == before
        assert await it.box.deliver(OWN, it.leases[f"lease of {OWN}"], "done") == {"status": "delivered"}


async def test_too_many_polls_and_changes_of_a_bid_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        polls = it.bot.app.hub.coordinator._docket.board._waiting

        async def meanwhile() -> None:
            await it.bot.see(lambda: len(polls.get("box", ())) == MOST_POLLS, "the polls", pace=0)
            bids = ({**BID, "bid_sats": sats + 1} for sats in range(2 * MOST_ANSWERS))
            flood = await asyncio.gather(*(it.box.ask("POST", "bids", bid) for bid in bids))
            assert flood == [200] * MOST_ANSWERS + [429] * MOST_ANSWERS
            await it.boy.bid(OPEN, 90)
            assert status(it.bot, OPEN) == "awarded"

        many = (it.box.ask("GET", "assignments", agent_id="box", wait=25) for _ in range(3 * MOST_POLLS))
        found, _ = await soon(asyncio.gather(asyncio.gather(*many), meanwhile()))
        assert sorted(found) == [200] * MOST_POLLS + [429] * 2 * MOST_POLLS


async def test_a_flood_of_one_worker_is_refused_after_a_while_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.web.worker_api.MOST_A_SECOND", 20)
    monkeypatch.setattr("adapters.web.worker_api.PAUSE", 0.01)
    async with world(tmp_path) as it:
        own = {"lease_token": it.leases[f"lease of {OWN}"]}
        flood = [it.box.ask("POST", f"tasks/{OWN}/heartbeat", own) for _ in range(100)]
        boys = [it.boy.ask("GET", "tasks") for _ in range(10)]
        found = await soon(asyncio.gather(*flood, *boys))
        assert {*found[:100]} == {200, 429}
        assert found.count(429) >= 20, "some are taken as time goes on"
        assert found[100:] == [200] * 10
        monkeypatch.setattr("adapters.web.worker_api.MOST_A_SECOND", 0)
        assert await it.box.code("GET", "tasks") == (429, "too_often")
        monkeypatch.undo()
        assert await it.box.beat(OWN, own["lease_token"])


async def test_no_token_is_for_a_name_of_the_hubs_own(tmp_path: Path) -> None:
    async with hub(tmp_path) as bot:
        await bot.data("/dismiss quill")
        for name in ("quill", "QUILL", "Echo", "hub", "treasury"):
            with pytest.raises(NameReserved):
                await bot.app.console.admin["token.mint"]({"token_kind": "worker", "name": name})
