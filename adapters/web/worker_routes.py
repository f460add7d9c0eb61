"""The routes of the worker API. What answers them is loaded by the first worker: a hub without any need not carry it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from adapters.web.routes import Access, Parameter, Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiohttp import web

    from adapters.web.worker_api import Desk, WorkerApi
    from core.swarm.ports import ResultFile
    from core.tokens import TokenRow

INSTANCE = "Timmy-Instance"
"""A header: which process of a worker it is, in a word that it makes up at its start."""

LONGEST_WAIT = 25
"""Seconds that a poll may wait."""

SHAPES = "adapters.web.worker_api"


class WorkerRoutes:
    """`/internal/*`. `check` finds the live credential of a token; `keep` puts files on the shelf, all or none."""

    def __init__(
        self,
        desk: Desk,
        check: Callable[[str], Awaitable[TokenRow | None]],
        keep: Callable[[Sequence[tuple[str, bytes]]], Awaitable[tuple[ResultFile, ...]]],
    ) -> None:
        self._parts = (desk, check, keep)

    @cached_property
    def _api(self) -> WorkerApi:
        from adapters.web.worker_api import WorkerApi  # noqa: PLC0415 - for the first worker

        return WorkerApi(*self._parts)

    def _to(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        def handle(request: web.Request) -> Awaitable[web.StreamResponse]:
            return self._api.serve(name, request)

        return handle

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        worker: dict[str, Any] = {"access": Access.WORKER, "head": False, "shapes": SHAPES}
        wait = Parameter("wait", "query", f"how many seconds to wait for one, 0 to {LONGEST_WAIT}")
        can = Parameter("capabilities", "query", "only tasks that call for one of these, separated by commas")
        who = Parameter("agent_id", "query", "the worker's own", required=True)
        which = Parameter(
            INSTANCE, "header", "a word for this process; who enrols under another one after it takes its place"
        )
        leased: dict[str, Any] = {**worker, "takes": (Parameter("id", "path", "the task's", required=True),)}
        body = (400, 413, 422)
        stale, at = (*body, 404, 409, 429), "/internal/tasks/{id}"
        return (
            Route(
                "POST", "/internal/agents", "enrol", "Enrol a worker, or change what it does", self._to("enrol"), gives="AgentIs",
                body="Agent", takes=(which,), refuses=(*body, 409, 429), **worker,
            ),
            Route(
                "GET", "/internal/tasks", "open_tasks", "Auctions to bid in; 204 if there are none", self._to("tasks"),
                gives="OpenTasks", takes=(wait, can, which), refuses=(409, 422, 429), **worker,
            ),
            Route(
                "POST", "/internal/bids", "bid", "Bid, or refuse", self._to("bid"), gives="BidIs", body="BidBody",
                takes=(which,), refuses=(*body, 404, 409, 429), **worker,
            ),
            Route(
                "GET", "/internal/assignments", "assignment", "The task to begin; 204 if there is none", self._to("assignment"),
                gives="Assignment", takes=(who, wait, which), refuses=(409, 422, 429), **worker,
            ),
            Route(
                "POST", f"{at}/heartbeat", "heartbeat", "Begin, or go on with, a task", self._to("heartbeat"), gives="BeatIs",
                body="Lease", refuses=stale, **{**leased, "takes": (*leased["takes"], which)},
            ),
            Route(
                "POST", f"{at}/progress", "progress", "Say how it goes", self._to("progress"), gives="StatusIs", body="Progress",
                refuses=stale, **leased,
            ),
            Route(
                "POST", f"{at}/result", "result", "Deliver", self._to("result"), gives="StatusIs", body="ResultBody",
                refuses=stale, **leased,
            ),
            Route(
                "POST", f"{at}/fail", "fail", "It failed", self._to("fail"), gives="StatusIs", body="Failure", refuses=stale,
                **leased,
            ),
            Route(
                "POST", f"{at}/handback", "handback", "Somebody else should do it", self._to("handback"), gives="StatusIs",
                body="Lease", refuses=stale, **leased,
            ),
        )  # fmt: skip
