"""What `timmy doctor` says of MCP servers, where there are any."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from bot.findings import Severity, check, refused
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.findings import Finding
    from config.settings import Settings


def mcp(settings: Settings) -> Iterator[Finding]:
    """Whether the file of servers can be used and is kept from others, and what it names is there."""
    file = settings.mcp.servers
    if file is None:
        return
    from bot.parts.mcp_servers import listed  # noqa: PLC0415 - where there are any

    try:
        specs = listed(file)
    except HubError as error:
        yield refused("mcp.servers", error)
        return
    count = len(specs)
    yield check("mcp.servers", f"{count} server{'' if count == 1 else 's'} in {file}")
    secret = any(spec.secrets for spec in specs.values()) and file.stat().st_mode & 0o077
    wrong = f"{file} holds what may be secret, and others can read it" if secret else ""
    yield check("mcp.private", "nobody else reads what it holds", wrong, f"chmod 600 {file}", Severity.WARNING)
    missing = [
        one.command for one in specs.values() if one.command and not shutil.which(one.command, path=_path(one.env))
    ]
    wrong = f"there is no program {', '.join(missing)}" if missing else ""
    yield check("mcp.programs", "each program is there", wrong, "Install it, or give its whole path.", Severity.WARNING)


def _path(env: Mapping[str, str]) -> str:
    return env.get("PATH") or os.environ.get("PATH", os.defpath)
