"""A person with the crypto library of Element verifies the bot in a room; the hub's owner confirms at the console."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters.console.link import SOCKET, dial
from tests.real.npm import MODULES, needs
from tests.real.synapse import PASSWORD, synapse
from tests.real.synapse import missing as no_synapse
from tests.real.test_matrix import BOT, hub_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kill.hub_process import HubProcess

PEER = Path(__file__).with_name("matrix_peer.js")
OLGA = "@olga:localhost"

pytestmark = [pytest.mark.timeout(180), no_synapse, needs("@matrix-org/matrix-sdk-crypto-wasm")]


class Peer:
    """The process of somebody with Element's keys."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, what: str) -> Any:
        """The next thing of that name that it says."""
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            while line := await self._process.stdout.readline():
                said = json.loads(line)
                assert "error" not in said, said
                if what in said:
                    return said
        raise AssertionError(what)

    async def agrees(self) -> None:
        """The person says that both show the same."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"yes\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def peer(url: str, kind: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        "node", str(PEER), url, OLGA, PASSWORD, BOT, kind, env={**os.environ, "NODE_PATH": str(MODULES)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Peer(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def asked(hub: HubProcess) -> str:
    """What the owner, attached at the console, is asked."""
    async with dial(hub.data, SOCKET) as link, asyncio.timeout(30):
        await link.send({"op": "attach"})
        while (frame := await link.receive()) is not None:
            if "wants to verify me" in frame.get("text", ""):
                return str(frame["text"])
    raise AssertionError


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
async def test_the_pictures_are_the_same_and_both_know_each_other_afterwards(tmp_path: Path, kind: str) -> None:
    async with synapse(tmp_path / "synapse") as server:
        for name in ("timmy", "olga"):
            await (await server.user(name)).client.close()
        async with hub_on(tmp_path, server) as hub, peer(server.url, kind) as olga:
            pictures = (await olga.says("pictures"))["pictures"]
            question = await asked(hub)
            assert question.split("\n")[1].replace("\ufe0f", "") == "  ".join(pictures).replace("\ufe0f", "")
            await olga.agrees()
            answer = (await hub.say("/approve A-1"))[0]["text"]
            assert answer.startswith("A-1 was approved by console:owner: ")
            assert f"{OLGA} is verified" in answer or f"what {OLGA} sees was confirmed" in answer
            assert await olga.says("done") == {"done": True, "verified": True}
