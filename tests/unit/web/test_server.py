"""The table of routes: declared once, served, guarded, and documented."""

from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from adapters.web.errors import CannotListen
from adapters.web.metrics import render
from adapters.web.openapi import document
from adapters.web.ports import Readings, Sources
from adapters.web.routes import Access, Route
from adapters.web.server import LARGEST_BODY, Sidecar, Site
from core.spark.record import NO_RECORD
from core.spark.spark import Insight
from core.tokens import TokenRow
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from core.events import Event
    from core.swarm.crew import Enrolled
    from core.swarm.ports import Agent, Seat
    from core.swarm.stuck import Stuck


@dataclass
class Nothing:
    """The figures of a hub where nothing happened."""

    live: dict[str, int] = field(default_factory=dict)
    tasks: int = 0
    held: int = 0
    escrow: int = 0
    treasury: int = 0
    earned: int = 0
    spent: int = 0
    frozen: bool = False
    backlog: int = 0
    dead_letters: int = 0


class NoCrew:
    """Nobody has enrolled."""

    def __iter__(self) -> Iterator[Enrolled]:
        return iter(())

    def here(self, name: str) -> bool:
        return False

    def seat(self, worker: Enrolled, load: int) -> Seat:
        raise AssertionError(worker)


@dataclass
class FreshHub:
    """A hub as it is before its start-up is done: health, roster and store in one."""

    ready: bool = False
    started: int = 0
    simulated: bool = True
    hops: int = 0
    commits: int = 0
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def stuck(self) -> Callable[[], Sequence[Stuck]]:
        return tuple

    @property
    def sessions(self) -> FreshHub:
        return self

    def live(self, now: int) -> list[tuple[str, int]]:
        return []

    async def figures(self) -> Nothing:
        return Nothing()

    async def model(self) -> str | None:
        return None

    def notes(self) -> list[str]:
        return []

    def faults(self) -> list[str]:
        return []

    def __iter__(self) -> Iterator[Agent]:
        return iter(())

    def insight(self, now: int, there: Callable[[str], bool]) -> Insight:
        return Insight(NO_RECORD, {}, ())

    def last_event(self) -> int:
        return 0

    def events_after(self, event: int, limit: int) -> list[Event]:
        return []

    async def read(self, work: Callable[[Any], Any], /) -> Any:
        return work(self)

    write = read_apart = read


async def nobody(token: str) -> TokenRow | None:
    """Knows one token."""
    return TokenRow("", "worker", "drone", None, None, 0) if token == "drone" else None


def sidecar(*more: Route, site: Site | None = None, hub: FreshHub | None = None) -> Sidecar:
    hub = hub or FreshHub()

    async def able(agent: Agent) -> str | None:
        return None

    sources = Sources(
        FakeClock(), FakeIds(), hub, hub, hub, hub, NoCrew(), check=nobody, able=able, spark=hub, here=bool
    )
    return Sidecar(site or Site("127.0.0.1", 0), sources, more)


@asynccontextmanager
async def client(served: Sidecar) -> AsyncIterator[aiohttp.ClientSession]:
    async with served.listening(), aiohttp.ClientSession(served.address) as session:
        yield session


async def fail(request: web.Request) -> web.StreamResponse:
    raise ZeroDivisionError("the answer is 42")


async def length(request: web.Request) -> web.StreamResponse:
    return web.json_response(len(await request.read()))


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "$ref":
                yield str(one)
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_the_document_lists_exactly_what_is_served() -> None:
    one_more = Route(
        "POST", "/internal/things/{id}", "things", "A route of a later issue", length, Access.READ, gives=dict
    )
    served = sidecar(one_more)
    routes = served._application().router.routes()
    registered = {(route.method, route.resource.canonical) for route in routes if route.resource is not None}
    documented = document(served.routes)
    found = {(method.upper(), path) for path, methods in documented["paths"].items() for method in methods}
    assert found == registered
    assert ("POST", "/internal/things/{id}") in found
    assert {"/", "/live", "/healthz", "/readyz", "/metrics", "/events", "/openapi.json", "/login"} <= {
        path for _, path in found
    }


def test_the_document_is_whole() -> None:
    made = json.loads(json.dumps(document(sidecar().routes)))
    names = [operation["operationId"] for methods in made["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    found = set(references(made))
    assert found
    for reference in found:
        place = made
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    events = made["components"]["schemas"]["EventShape"]
    assert set(events["required"]) == {"id", "type", "at", "data"}
    assert made["paths"]["/events"]["get"]["security"] == [{"token": []}]
    assert made["paths"]["/live"]["get"]["security"] == []


async def test_a_route_that_breaks_tells_the_log_and_not_the_client() -> None:
    broken = Route("GET", "/broken", "broken", "Breaks", fail)
    async with client(sidecar(broken)) as session, session.get("/broken") as answer:
        text = await answer.text()
    assert answer.status == 500
    assert json.loads(text)["error"]["code"] == "went_wrong"
    assert "42" not in text
    assert "Traceback" not in text


async def test_a_body_larger_than_a_megabyte_is_refused() -> None:
    counting = Route("POST", "/length", "length", "Counts", length)
    async with client(sidecar(counting)) as session:
        async with session.post("/length", data=io.BytesIO(b"x" * LARGEST_BODY)) as answer:
            assert answer.status == 200
        async with session.post("/length", data=io.BytesIO(b"x" * (LARGEST_BODY + 1))) as answer:
            assert answer.status == 413
            assert (await answer.json())["error"]["code"] == "too_large"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_body_is_only_asked_for_once_its_sender_may_send_it() -> None:
    counting = Route("POST", "/length", "length", "Counts", length)
    async with client(sidecar(counting)) as session:
        async with session.post("/length", data=b"12345", expect100=True) as answer:
            assert (answer.status, await answer.json()) == (200, 5)
        async with session.post("/length", data=b"12345", headers={"Expect": "a miracle"}) as answer:
            assert answer.status == 417
            assert (await answer.json())["error"]["code"] == "expectation_failed"


async def test_before_start_up_is_done_the_hub_is_alive_and_not_ready() -> None:
    hub = FreshHub()
    async with client(sidecar(hub=hub)) as session:
        async with session.get("/healthz") as answer:
            assert answer.status == 200
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["error"]["code"] == "not_ready"
        hub.ready = True
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})


async def test_a_place_that_cannot_be_bound_is_named() -> None:
    with pytest.raises(CannotListen, match=r"203\.0\.113\.7, port 0"):
        async with sidecar(site=Site("203.0.113.7", 0)).listening():
            pass


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:")],
)
async def test_the_address_is_one_that_works_on_this_machine(host: str, address: str) -> None:
    async with client(served := sidecar(site=Site(host, 0))) as session, session.get("/healthz") as answer:
        assert served.address.startswith(address)
        assert answer.status == 200


def test_the_link_of_a_login_leads_to_the_public_address() -> None:
    assert (
        sidecar(site=Site("127.0.0.1", 0, "https://timmy.example.org/"))
        .login_link()
        .startswith("https://timmy.example.org/login?code=")
    )


def metrics(**more: Any) -> str:
    values: dict[str, Any] = {
        "uptime": 1.5, "ready": True, "parts": {}, "figures": Nothing(), "simulated": True, "hops": 7, "commits": 3,
        "events": {}, "streams": {},
    }  # fmt: skip
    return render(Readings(**(values | more))).decode()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "timmy_uptime_seconds 1.5"),
        ({}, "timmy_writer_hops_total 7.0"),
        ({}, 'timmy_tasks{status="bidding"} 0.0'),
        ({"figures": Nothing(live={"running": 2})}, 'timmy_tasks{status="running"} 2.0'),
        ({"figures": Nothing(escrow=45_000)}, 'timmy_money_sats{place="escrow"} 45.0'),
        ({"events": {"TaskPosted": 4}}, 'timmy_events_total{type="TaskPosted"} 4.0'),
    ],
)
def test_metrics_are_prometheus_text(given: dict[str, Any], line: str) -> None:
    assert line in metrics(**given).splitlines()


def test_no_metric_is_named_twice() -> None:
    names = [line.split()[2] for line in metrics().splitlines() if line.startswith("# TYPE")]
    assert len(names) > 10
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "route", [route for route in sidecar().routes if route.access is Access.READ], ids=lambda r: r.name
)
async def test_a_token_of_another_kind_is_told_so(route: Route) -> None:
    async with client(sidecar()) as session:
        async with session.get(route.path, headers={"Authorization": "Bearer drone"}) as answer:
            assert answer.status == 403
            assert (await answer.json())["error"]["code"] == "wrong_scope"
        async with session.get(route.path, headers={"Authorization": "Bearer bee"}) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
