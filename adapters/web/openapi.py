"""`/openapi.json` (OpenAPI 3.1), written from the table of routes. Schemas come from the dataclasses the routes answer with."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from adapters.web.guard import COOKIE
from adapters.web.routes import JSON, Access

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapters.web.routes import Route

_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    Access.OPEN: [],
    Access.OWN_SECRET: [],
    Access.READ: [{"token": []}],
    Access.PAGE: [{"token": []}, {"session": []}],
    Access.SHORTCUT: [{"token": []}],
    Access.WORKER: [{"token": []}],
    Access.OWNER: [{"token": []}],
    Access.BOUGHT: [{"l402": []}],
}
_WORDS = {
    Access.OPEN: "Open to anybody.",
    Access.OWN_SECRET: "Carries a secret of its own.",
    Access.READ: "Needs an owner or read token.",
    Access.PAGE: "Needs the page's login, or an owner or read token.",
    Access.SHORTCUT: "Needs a shortcut token, and acts as its device.",
    Access.WORKER: "Needs a worker token, and acts as the agent of its name.",
    Access.OWNER: "Needs an owner token.",
    Access.BOUGHT: "Needs an L402 token; the WWW-Authenticate header of a 402 offers one.",
}
_REF = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """`code` is stable and for programs; `message` says what happened and what to do."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The body of every refusal."""

    error: ErrorFacts


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document for these routes."""
    routes = list(routes)
    shapes = {route.name: TypeAdapter(route.shape(route.gives)) for route in routes if route.gives is not None}
    adapters: list[tuple[str, Any, TypeAdapter[Any]]] = [(name, "serialization", one) for name, one in shapes.items()]
    taken = [route for route in routes if route.body not in {None, bytes}]
    bodies: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (route.name, "validation", TypeAdapter(route.shape(route.body))) for route in taken
    ]
    schemas, common = TypeAdapter.json_schemas(
        [*adapters, *bodies, ("", "serialization", TypeAdapter(ErrorBody))], ref_template=_REF
    )
    error = schemas["", "serialization"]
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        schema = schemas.get((route.name, "serialization"))
        for method in route.methods:
            operation = paths.setdefault(route.path, {})[method.lower()] = _operation(route, method, schema, error)
            if route.body is not None:
                operation["requestBody"] = _body(schemas.get((route.name, "validation")))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Timmy", "version": version("timmy"), "summary": "A self-hosted chat-ops hub over HTTP"},
        "paths": paths,
        "components": {
            "schemas": common["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "timmy token KIND NAME mints one"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "timmy status --page"},
                "l402": {
                    "type": "http",
                    "scheme": "L402",
                    "description": "L402 TOKEN:PREIMAGE of an offer that was paid",
                },
            },
        },
    }


def _body(schema: Any) -> dict[str, Any]:
    """What a request holds: JSON, or a file."""
    content = {"audio/*": {}} if schema is None else {JSON: {"schema": schema}}
    return {"required": True, "content": content}


def _operation(route: Route, method: str, schema: Any, error: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if method != "HEAD" and route.status < HTTPStatus.MULTIPLE_CHOICES:
        good["content"] = {route.media: {"schema": schema or {"type": "string"}}}
    refusal = {"content": {JSON: {"schema": error}}}
    statuses = sorted({403, *route.refuses, *((401,) if _SECURITY[route.access] else ())})
    return {
        "operationId": route.name if method == route.method else f"{route.name}_{method.lower()}",
        "summary": route.summary,
        "description": _WORDS[route.access],
        "security": _SECURITY[route.access],
        "parameters": [
            {
                "name": one.name, "in": one.where, "description": one.summary, "required": one.required,
                "schema": {"type": "string"},
            }
            for one in route.takes
        ],
        "responses": {
            str(route.status): good,
            **{str(status): {"description": HTTPStatus(status).phrase, **refusal} for status in statuses},
            "default": {"description": "Any other refusal", **refusal},
        },
    }  # fmt: skip
