"""`core.swarm.outpost.Hub` over HTTP, with aiohttp."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from core.money import to_msat, to_sats
from core.swarm.outpost import Given, HubAway, Notice, Rejected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from core.ports import Clock
    from core.swarm.ports import Delivery, ResultFile

ANSWER_SECONDS = 30.0
"""How long an answer may take beyond the wait that was asked for."""


SOCKET = "unix://"

UPLOAD_SECONDS = 60
"""How much longer that of a result may take: as long as a hub reads one."""


class HubClient:
    """One worker's connection to a hub at `url`. `content` reads a file of a result."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, name: str, clock: Clock, content: Callable[[ResultFile], Awaitable[bytes]]
    ) -> None:  # fmt: skip
        self._session = session
        self._url = f"{url.rstrip('/')}/internal"
        self._name = name
        self._clock = clock
        self._content = content

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, url: str, name: str, token: str, clock: Clock, content: Callable[[ResultFile], Awaitable[bytes]],
        instance: str = "",
    ) -> AsyncIterator[Self]:  # fmt: skip
        """A client until the block ends; `unix:///PATH` is the hub's own socket.

        `instance` tells this process from others of its name, of which only the last works.
        """
        headers = {"Authorization": f"Bearer {token}"} | ({"Timmy-Instance": instance} if instance else {})
        socket = url.removeprefix(SOCKET) if url.startswith(SOCKET) else None
        way = aiohttp.UnixConnector(socket) if socket else None
        async with aiohttp.ClientSession(headers=headers, connector=way) as session:
            yield cls(session, "http://localhost" if socket else url, name, clock, content)

    async def enrol(self, capabilities: Sequence[str], concurrency: int) -> None:
        """See `Hub`."""
        await self._post("agents", name=self._name, capabilities=list(capabilities), concurrency=concurrency)

    async def tasks(self, wait: int) -> list[Notice]:
        """See `Hub`."""
        found = await self._ask("GET", f"tasks?wait={wait}", wait=wait) or ()
        return [
            Notice(one["task_id"], one["description"], to_msat(one["budget_sats"]), one.get("model")) for one in found
        ]

    async def bid(self, task: str, price: int, eta: int | None, note: str) -> None:
        """See `Hub`."""
        more = {} if eta is None else {"eta_s": -(-eta // 1000)}
        await self._post("bids", task_id=task, agent_id=self._name, bid_sats=to_sats(price), note=note, **more)

    async def refuse(self, task: str, why: str) -> None:
        """See `Hub`."""
        await self._post("bids", task_id=task, agent_id=self._name, refuse=True, note=why)

    async def given(self, wait: int) -> Given | None:
        """See `Hub`."""
        one = await self._ask("GET", f"assignments?agent_id={self._name}&wait={wait}", wait=wait)
        if one is None:
            return None
        seconds = (one["lease_until"] - self._clock.now()) / 1000
        return Given(one["task_id"], one["description"], one["attempt"], one["lease_token"], seconds, one.get("model"))

    async def beat(self, task: str, lease: str) -> bool:
        """See `Hub`."""
        return bool((await self._post(f"tasks/{task}/heartbeat", lease_token=lease))["cancel"])

    async def deliver(self, task: str, lease: str, delivery: Delivery) -> None:
        """See `Hub`."""
        files = [
            {"name": file.name, "content_base64": base64.b64encode(await self._content(file)).decode()}
            for file in delivery.files
        ]
        await self._post(
            f"tasks/{task}/result", wait=UPLOAD_SECONDS, lease_token=lease, result=delivery.text, files=files
        )

    async def fail(self, task: str, lease: str, why: str) -> None:
        """See `Hub`."""
        await self._post(f"tasks/{task}/fail", lease_token=lease, reason=why)

    async def hand_back(self, task: str, lease: str) -> None:
        """See `Hub`."""
        await self._post(f"tasks/{task}/handback", lease_token=lease)

    async def _post(self, path: str, *, wait: int = 0, **body: Any) -> Any:
        return await self._ask("POST", path, body, wait=wait)

    async def _ask(self, method: str, path: str, body: Any = None, *, wait: int = 0) -> Any:
        """One request; what is wrong with its answer, as `HubAway` where it may be better later, else as `Rejected`."""
        timeout = aiohttp.ClientTimeout(total=wait + ANSWER_SECONDS)
        try:
            async with self._session.request(
                method, f"{self._url}/{path}", json=body, timeout=timeout, allow_redirects=False
            ) as answer:
                raw = await answer.read()
        except aiohttp.ClientConnectorError as error:
            raise HubAway(why=f"{error.host}, port {error.port}: {error.strerror or error.os_error}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HubAway(why=str(error) or type(error).__name__) from None
        if answer.status == 204:  # noqa: PLR2004 - HTTP's
            return None
        try:
            found = json.loads(raw)
        except ValueError:
            raise HubAway(why=f"{self._url} answers {answer.status} with what is no JSON") from None
        if answer.status == 200:  # noqa: PLR2004
            return found
        said = found.get("error") if isinstance(found, dict) else None
        said = said if isinstance(said, dict) else {}
        why = str(said.get("message") or f"it answers {answer.status}")
        if answer.status >= 500 or answer.status == 429:  # noqa: PLR2004
            raise HubAway(why=why.rstrip("."))
        raise Rejected(why=why, status=answer.status, code=str(said.get("code", "")))
