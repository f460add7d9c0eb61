"""The file of MCP servers: the `mcpServers` that other programs have, with a few keys of ours. Knows nothing of the protocol.

What other programs read as leave to call without asking (`autoApprove`, `alwaysAllow`) is not read here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE = 256 * 1024
MAX_SERVERS = 16
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|_(?!_)){0,23}")
_OURS = "TIMMY_"


class BadServers(UserError):
    """The MCP servers in {file} cannot be used: {why}. docs/mcp.md shows what the file looks like."""


class ServerSpec(BaseModel):
    """One server: a program (`command`), or an address (`url`).

    `tools`: those that may be offered, all if not said. `read`: those that its owner says only read, and so need nobody's leave.
    `outward`: of a tool, the argument that is an address. `members`: people beside the owner may have its tools. `public`: its
    address may be on the internet. `timeout`: seconds that a call may take.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    url: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    tools: tuple[str, ...] | None = None
    read: tuple[str, ...] = ()
    outward: dict[str, str] = Field(default_factory=dict)
    members: bool = False
    public: bool = False
    disabled: bool = False
    timeout: float = Field(default=60, ge=1, le=600)

    @field_validator("env")
    @classmethod
    def _own(cls, value: dict[str, str]) -> dict[str, str]:
        for key, text in value.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) or "\0" in text:
                message = f"{key[:40]!r} cannot be a variable of an environment"
                raise ValueError(message)
            if key.upper().startswith(_OURS):
                message = f"{key} is a setting of the hub, and no other program gets those"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.command) == bool(self.url):
            message = "it needs either command (a program) or url (an address), and not both"
            raise ValueError(message)
        if "\0" in "".join([self.command, *self.args]):
            message = "its command holds a sign that no command has"
            raise ValueError(message)
        if self.url:
            parts = urlsplit(self.url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
                message = "its url is no address such as http://127.0.0.1:9000/mcp"
                raise ValueError(message)
            if self.public and parts.scheme != "https":
                message = "an address on the internet needs https"
                raise ValueError(message)
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be logged."""
        return (*self.env.values(), *self.headers.values())


def load(file: Path) -> dict[str, ServerSpec]:
    """The servers of a file, without those that are disabled. Raises `BadServers`; no error shows a value that may be secret."""
    found = _read(file)
    servers: dict[str, ServerSpec] = {}
    for name, entry in found.items():
        if not _NAME.fullmatch(name):
            why = f"{name[:40]!r} cannot be a server's name: letters, digits, dashes and single underscores, 24 at most"
            raise BadServers(file=file, why=why)
        try:
            spec = ServerSpec.model_validate(entry)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            said = first["msg"].removeprefix("Value error, ")
            raise BadServers(file=file, why=f"{name}: {f'{where}: ' if where else ''}{said}") from None
        if not spec.disabled:
            servers[name] = spec
    if len(servers) > MAX_SERVERS:
        raise BadServers(file=file, why=f"there are more than {MAX_SERVERS}")
    return servers


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise BadServers(file=file, why=f"it cannot be read ({error.strerror or error})") from None
    if len(text) > MAX_FILE:
        raise BadServers(file=file, why=f"it is larger than {MAX_FILE:,} bytes")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadServers(file=file, why=f"it is no JSON ({error})") from None
    servers = found.get("mcpServers") if isinstance(found, dict) else None
    if not isinstance(servers, dict):
        raise BadServers(file=file, why='it is no object with "mcpServers" in it')
    return servers
