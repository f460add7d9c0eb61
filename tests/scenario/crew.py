"""A worker of another process as a hub sees it: raw requests with its token."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.scenario.bot import Bot


class Worker:
    """One worker; `said` is the last answer's body."""

    def __init__(self, session: aiohttp.ClientSession, name: str, token: str, url: str) -> None:
        self._session = session
        self.name = name
        self.token = token
        self._url = url
        self.instance = ""
        self.said: Any = None

    def process(self, instance: str) -> Worker:
        """The same worker as a process that says which one it is."""
        one = Worker(self._session, self.name, self.token, self._url)
        one.instance = instance
        return one

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> int:
        """One request to `/internal`; its status."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.instance:
            headers["Timmy-Instance"] = self.instance
        asked = self._session.request(method, f"{self._url}/internal/{path}", json=body, params=query, headers=headers)
        async with asked as answer:
            self.said = await answer.json() if answer.content_type == "application/json" else None
            return answer.status

    async def get(self, path: str, **query: Any) -> Any:
        """What a GET gives; None where there is nothing."""
        assert await self.ask("GET", path, **query) in {200, 204}, self.said
        return self.said

    async def post(self, path: str, **body: Any) -> Any:
        """What a POST gives."""
        assert await self.ask("POST", path, body) == 200, self.said
        return self.said

    async def code(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str]:
        """The status and the code of a refusal."""
        status = await self.ask(method, path, body, **query)
        return status, self.said["error"]["code"]

    async def enrol(self, *capabilities: str, concurrency: int = 1) -> None:
        """Join, able to do anything unless said otherwise."""
        can = list(capabilities or ("any",))
        said = await self.post("agents", name=self.name, capabilities=can, concurrency=concurrency)
        assert said == {"agent_id": self.name}

    async def tasks(self, wait: int = 0, **query: Any) -> list[str]:
        """The tasks that it may bid on."""
        return [task["task_id"] for task in await self.get("tasks", wait=wait, **query) or ()]

    async def bid(self, task: str, sats: int, **more: Any) -> Any:
        """Bid."""
        return await self.post("bids", task_id=task, agent_id=self.name, bid_sats=sats, **more)

    async def refuse(self, task: str) -> Any:
        """Say no."""
        return await self.post("bids", task_id=task, agent_id=self.name, refuse=True)

    async def given(self, wait: int = 0) -> Any:
        """What it is to begin."""
        return await self.get("assignments", agent_id=self.name, wait=wait)

    async def won(self, task: str, sats: int) -> str:
        """Bid, win and begin; the lease."""
        assert (await self.bid(task, sats))["accepted"]
        given = await self.given()
        assert given["task_id"] == task
        lease: str = given["lease_token"]
        assert not (await self.beat(task, lease))["cancel"]
        return lease

    async def beat(self, task: str, lease: str) -> Any:
        """Say that it is at it."""
        return await self.post(f"tasks/{task}/heartbeat", lease_token=lease)

    async def deliver(self, task: str, lease: str, result: str, **more: Any) -> Any:
        """Hand in the work."""
        return await self.post(f"tasks/{task}/result", lease_token=lease, result=result, **more)


@asynccontextmanager
async def workers(bot: Bot, *names: str) -> AsyncIterator[list[Worker]]:
    """Workers of these names, with tokens of their own; none is enrolled yet."""
    async with aiohttp.ClientSession() as session:
        made = []
        for name in names:
            frame = {"token_kind": "worker", "name": name}
            token = (await bot.app.console.admin["token.mint"](frame))["text"]
            made.append(Worker(session, name, token, bot.app.address))
        yield made


@asynccontextmanager
async def back(bot: Bot, *them: Worker) -> AsyncIterator[list[Worker]]:
    """The same after the hub was started anew: it listens elsewhere."""
    async with aiohttp.ClientSession() as session:
        yield [Worker(session, one.name, one.token, bot.app.address) for one in them]
