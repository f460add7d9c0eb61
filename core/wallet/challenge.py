"""What a server that wants to be paid says (L402), read and judged. Pure: it trusts nothing of it but the signed invoice.

Servers write the challenge in many ways: `L402` or the older `LSAT`, the token as `token` or `macaroon`, in any order and
quoting, beside other schemes in one header or in several. The price is the invoice's amount, never what is written beside it.
Source: lightninglabs/L402 protocol-specification; RFC 9110, 11.6.1 (WWW-Authenticate).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import UserError
from core.money import MAX_SATS, MSAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from core.wallet.lightning import PaymentRequest

MAX_HEADER = 16 * 1024
"""Characters that are read of all headers together."""

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PIECE = re.compile(
    rf"""(?P<name>{_WORD})\s*+=\s*+(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|'(?P<single>[^']*+)'|(?P<bare>[^\s,;"']*+))"""
    rf"""|(?P<scheme>{_WORD})|[\s,;]++|.""",
    re.DOTALL,
)
"""One piece matches wherever one can begin, and nothing in it is tried twice: reading is linear."""

_SCHEMES = ("l402", "lsat")
"""In the order in which they are preferred: some servers offer both, for the same invoice."""

_TOKEN = re.compile(r"[A-Za-z0-9+/=_.~,-]{1,8192}")
_INVOICE = re.compile(r"(?:lightning:)?(ln[a-z0-9]{1,4096})", re.IGNORECASE)


class BadChallenge(UserError):
    """{host} wants to be paid in a way that cannot be read: it sends no L402 token with a Lightning invoice. Nothing was paid."""


class Unpayable(UserError):
    """{host} cannot be paid: {why}. Nothing was paid."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A token that is good once its invoice is paid; `scheme` as it is said back."""

    scheme: str
    token: str = field(repr=False)
    invoice: str


def credential(scheme: str, token: str, preimage: bytes) -> str:
    """What shows a server that its token was paid for."""
    return f"{scheme} {token}:{preimage.hex()}"


def read(headers: Iterable[str]) -> Challenge | None:
    """The challenge in a 402's `WWW-Authenticate` headers; None where there is none that can be used."""
    text = ", ".join(headers)[:MAX_HEADER]
    found = [one for scheme, facts in _challenges(text) if (one := _usable(scheme, facts)) is not None]
    return min(found, key=lambda one: _SCHEMES.index(one.scheme.lower()), default=None)


def _challenges(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each scheme with its parameters, names in lower case; of one that is said twice the first."""
    scheme, facts = "", dict[str, str]()
    for piece in _PIECE.finditer(text):
        if piece["name"]:
            value = next(piece[form] for form in ("quoted", "single", "bare") if piece[form] is not None)
            facts.setdefault(piece["name"].lower(), re.sub(r"\\(.)", r"\1", value).strip())
        elif piece["scheme"]:
            yield scheme, facts
            scheme, facts = piece["scheme"], {}
    yield scheme, facts


def _usable(scheme: str, facts: dict[str, str]) -> Challenge | None:
    token = facts.get("token") or facts.get("macaroon") or ""
    invoice = _INVOICE.fullmatch(facts.get("invoice", ""))
    if scheme.lower() not in _SCHEMES or invoice is None or _TOKEN.fullmatch(token) is None:
        return None
    return Challenge(scheme.upper(), token, invoice[1].lower())


def price_of(request: PaymentRequest, host: str, prefix: str, now: int) -> int:
    """What an invoice costs, msat. `prefix`: of our network; `now`: Unix ms. Raises `Unpayable`."""
    if request.prefix != prefix:
        raise Unpayable(host=host, why=f"its invoice is for another network (ln{request.prefix}; ours is ln{prefix})")
    if not request.amount:
        raise Unpayable(host=host, why="its invoice names no amount, so there is no price")
    if request.amount > MAX_SATS * MSAT:
        raise Unpayable(host=host, why="its price is more than all sats that there are")
    if now >= request.expires_at:
        raise Unpayable(host=host, why="its invoice has expired already")
    return request.amount
