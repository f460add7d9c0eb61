"""What the hub tells of itself, for whoever may see it: the slash commands that only read, called without a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.registry import parse_arguments, registry
from core.access import authorize
from core.chat import CommandCall

if TYPE_CHECKING:
    from bot.hub import Hub
    from core.agent.tool import Use


class Reading:
    """What commands say in `hub`, which is set before anybody asks."""

    hub: Hub

    async def __call__(self, line: str, use: Use) -> str:
        """What a command that only reads says to the caller. Raises what it would say instead: `NotAllowed` before all else."""
        name, _, rest = line.removeprefix("/").partition(" ")
        command = registry.get(name)
        if not command.looks(line) or command.action is None:
            raise ValueError(f"not a command that only reads: {line!r}")
        authorize(use.caller, command.action)
        args = parse_arguments(command, rest.strip()) if command.arguments else {}
        # In no conversation: programs that sit in one are told more than a page.
        return (await command.run(self.hub, CommandCall(command.name, args, use.caller, "", use.key, line))).text
