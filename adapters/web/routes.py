"""A route, declared once: the server registers it, the guard reads who may, `/openapi.json` is written from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
_FLAT = frozenset({bool, int, str})


class Access(StrEnum):
    """Who may use a route."""

    OPEN = "open"  # anybody who reaches the hub
    OWN_SECRET = "own secret"  # the request carries a secret that the route checks itself  # noqa: S105
    READ = "read"  # an owner or read token
    PAGE = "page"  # the same, or the page after its login
    SHORTCUT = "shortcut"  # a shortcut token, as its device
    WORKER = "worker"  # a worker token, as the agent of its name
    OWNER = "owner"  # an owner token
    BOUGHT = "bought"  # an L402 token, which the route checks itself


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something a route reads from the request beside its body; `where` is OpenAPI's word: query, path or header."""

    name: str
    where: str
    summary: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table. `gives` is the dataclass (or list of one) that the answer holds, in every event of a stream.

    `body` is the dataclass that a request holds (bytes: a file). Either may be the name of one in the module `shapes`, which is
    loaded by whoever looks.

    `status` is that of the good answer. A HEAD is answered like a GET unless `head` says no: on streams, and where
    looking has an effect.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    access: Access = Access.OPEN
    gives: Any = None
    media: str = JSON
    status: int = 200
    takes: tuple[Parameter, ...] = ()
    refuses: tuple[int, ...] = ()
    head: bool = True
    body: Any = None
    shapes: str = ""

    def shape(self, given: Any) -> Any:
        """What it gives or holds, itself."""
        return getattr(import_module(self.shapes), given) if isinstance(given, str) else given

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods it is registered for."""
        return ("GET", "HEAD") if self.method == "GET" and self.head else (self.method,)


def plain(shape: Any) -> dict[str, Any]:
    """A dataclass as JSON has it: what is None is left out."""
    names = _names(type(shape))  # type: ignore[arg-type]
    return {name: _plain(value) for name in names if (value := getattr(shape, name)) is not None}


def _plain(value: Any) -> Any:
    if type(value) in _FLAT:
        return value
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return plain(value) if is_dataclass(value) else value


@cache
def _names(shape: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(shape))


def answer(shape: Any) -> web.Response:
    """A dataclass as the answer."""
    return web.Response(text=json.dumps(plain(shape)), content_type=JSON)
