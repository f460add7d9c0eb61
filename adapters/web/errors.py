"""Every refusal over HTTP has one body, `{"error": {"code", "message"}}`, whoever made it: a service, a route, or aiohttp."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from core.errors import Refused, Unavailable, UserError

if TYPE_CHECKING:
    from core.errors import HubError


class PortInUse(Unavailable):
    """Port {port} on {host} is in use. Set TIMMY_{group}_PORT to another port, or stop the program that listens there."""


class CannotListen(Unavailable):
    """The hub cannot listen on {host}, port {port}: {why}. Set TIMMY_{group}_HOST and TIMMY_{group}_PORT."""


class Unhealthy(Unavailable):
    """Something is down: {faults}. timmy status says more."""


class NotReady(Unavailable):
    """The hub is starting or stopping. Try again in a moment."""


class ForeignHost(Refused):
    """This hub does not answer to that Host. Use its own address, or add the name to TIMMY_HTTP_ALLOWED_HOSTS."""


class ForeignOrigin(Refused):
    """Another site may not ask this hub. Open the hub's own page, or ask without a browser."""


class PackedBody(UserError):
    """A packed body (Content-Encoding) is not taken. Send it as it is."""

    status = 415


class NoToken(UserError):
    """This needs a token: send the header Authorization: Bearer TOKEN. timmy token {wanted} mints one."""

    status = 401


class WrongScope(Refused):
    """This is not for tokens of the kind {kind}. timmy token {wanted} mints one that opens it."""


class BadLogin(Refused):
    """This login link is not whole, was used already, or is too old. Run timmy status --page again for a new one."""


class BadEventId(UserError):
    """Last-Event-ID {given} is not the id of an event: ids are whole numbers, and 0 asks for all there are."""


class TooManyStreams(Unavailable):
    """Too many streams are open ({limit}). Close one, or try again later."""


_CHALLENGED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED})

_OF_LIBRARY = {
    400: ("bad_request", "The request is not HTTP as this hub understands it."),
    404: ("not_found", "There is nothing at this address. /openapi.json lists what there is."),
    405: ("method_not_allowed", "This address does not take that method; the Allow header lists those it takes."),
    413: ("too_large", "The body is larger than this hub takes."),
}
"""Code and sentence of the refusals that aiohttp makes by itself."""


def response(error: HubError, challenge: str = "Bearer") -> web.Response:
    """An error of the hub as HTTP. `challenge` says how one gets in."""
    headers = {"WWW-Authenticate": challenge} if error.status in _CHALLENGED else {}
    return _body(error.status, error.code, str(error), headers)


def library_response(status: int, allow: str | None = None) -> web.Response:
    """A refusal of aiohttp's own, in our words: its texts name its insides."""
    phrase = HTTPStatus(status).phrase
    code, message = _OF_LIBRARY.get(status, (phrase.lower().replace(" ", "_"), f"{phrase}."))
    return _body(status, code, message, {"Allow": allow} if allow else {})


def _body(status: int, code: str, message: str, headers: dict[str, str]) -> web.Response:
    text = json.dumps({"error": {"code": code, "message": message}})
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)
