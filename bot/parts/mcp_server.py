"""`timmy mcp`: what it offers is declared in `bot.mcp_tools`, and done by the running hub, over the owner's socket."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from adapters.console.client import request
from adapters.mcp import server
from adapters.mcp.server import Answered, Offered
from bot.mcp_tools import INSTRUCTIONS, OFFERS, offer
from core.errors import HubError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from config.settings import Settings


class _Said(HubError):
    """The hub refused."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__()
        self.args = (text,)
        self._code = code

    @property
    def code(self) -> str:
        """The error's name."""
        return self._code


async def serve(settings: Settings, version: str) -> None:
    """Serve one client on standard input and output."""
    token = None if settings.mcp.token is None else settings.mcp.token.get_secret_value()

    async def ask(frame: dict[str, Any]) -> Mapping[str, Any]:
        answer = await request(settings.data_dir, {**frame, "token": token})
        if answer["kind"] == "error":
            raise _Said(answer["text"], answer["error"])
        return answer

    async def offered() -> Sequence[Offered]:
        """With a token what writes too. A token that opens nothing is said at once; a hub that is down at each call."""
        with suppress(Unavailable):
            await ask({"op": "mcp.hello"})
        return [
            Offered(one.name, one.title, one.about, one.schema, one.facts, one.writes, one.undoes)
            for one in OFFERS
            if token is not None or not one.writes
        ]

    async def call(name: str, arguments: Mapping[str, Any]) -> Answered:
        tool = offer(name)
        tool.read(arguments)
        answer = await ask({"op": "mcp.call", "tool": name, "arguments": dict(arguments)})
        return Answered(answer["text"], answer["data"], refused=not answer["data"].get("ok", True))

    await server.serve(version, INSTRUCTIONS, offered, call)
