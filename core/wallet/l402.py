"""L402 tokens (MONEY, "L402"): a macaroon that names an invoice, and opens something once that invoice is paid. Pure.

Macaroons are of version 2, binary (libmacaroons, doc/format.txt); the identifier is L402's: u16 0, payment hash, token id.
Roots are derived from the hub's one secret and the identifier, so a challenge that nobody pays stores no secret. What was
sold stands in the token itself as its first caveats; whoever holds it may add more, each of which can only narrow it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from core.errors import UserError
from core.wallet.lightning import proves

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCATION = b"timmy"
MAX_TOKEN = 1024
"""The longest token that is read, bytes."""

MAX_CAVEATS = 16
MAX_TOKENS = 4
"""Tokens of one credential; all must hold."""

MAX_HEADER = 6 * 1024
"""The longest Authorization header that is read, characters."""

ID_BYTES = 32
"""The size of a payment hash, a token id and a signature."""

_VERSION = 2
_END, _LOCATION, _IDENTIFIER, _SIGNATURE = 0, 1, 2, 6
_KEY = b"macaroons-key-generator"
_ID_VERSION = bytes(2)
_SMALL = 0x80
_HUGE = 1 << 14

_CREDENTIAL = re.compile(
    r"(?:L402|LSAT) ++(?P<tokens>[A-Za-z0-9+/_=, -]++):(?P<preimage>[0-9A-Fa-f]{64}) *", re.IGNORECASE
)
"""Nothing is tried twice: of a header of spaces, which anybody can send, reading stays linear."""

_OURS = re.compile(r" *(?:L402|LSAT)(?: |$)", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")

SECOND = 1000


class BadCredential(UserError):
    """This L402 token opens nothing: {why}. Send it whole and as it was given, or ask without one to be offered another."""

    status = 401


class Macaroon(NamedTuple):
    """A macaroon with caveats of the first party only, as it is on the wire. The signature is an HMAC-SHA256."""

    location: bytes
    identifier: bytes
    caveats: tuple[bytes, ...]
    signature: bytes

    @property
    def payment_hash(self) -> bytes:
        """Of the invoice that pays for it."""
        return self.identifier[2 : 2 + ID_BYTES]

    @property
    def token(self) -> bytes:
        """The id of the bundle that it opens."""
        return self.identifier[2 + ID_BYTES :]


class Terms(NamedTuple):
    """What is sold: `calls` of a service beneath a path, each for `price` msat, until `expires` (Unix ms, whole seconds)."""

    service: str
    price: int
    calls: int
    expires: int
    resource: str

    def caveats(self) -> tuple[bytes, ...]:
        """The terms as a token carries them."""
        return tuple(
            f"{name}={value}".encode()
            for name, value in (
                ("service", self.service), ("price_msat", self.price), ("calls", self.calls),
                ("expires", self.expires // SECOND), ("resource", self.resource),
            )
        )  # fmt: skip

    def cover(self, service: str, path: str) -> bool:
        """Whether they are for this."""
        return service == self.service and within(path, self.resource)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client sends: tokens as bytes, and the preimage that it got for its payment."""

    tokens: tuple[bytes, ...] = field(repr=False)
    preimage: bytes = field(repr=False)


class Grant(NamedTuple):
    """A credential that holds: what was `sold` to whom under which payment, and the `terms` that its holder left of it."""

    payment_hash: bytes
    token: bytes
    sold: Terms
    terms: Terms

    @property
    def name(self) -> str:
        """A short name of the bundle, for books and conversations."""
        return self.token.hex()[:16]


def within(path: str, resource: str) -> bool:
    """Whether a path is the resource, or beneath it."""
    return path == resource or path.startswith(resource.rstrip("/") + "/")


# Minting -------------------------------------------------------------------------------------------------------


def identifier(payment_hash: bytes, token: bytes) -> bytes:
    """L402's identifier, 66 bytes."""
    return _ID_VERSION + payment_hash + token


def mint(master: bytes, payment_hash: bytes, token: bytes, terms: Terms) -> Macaroon:
    """A token for whoever pays the invoice with this hash. `payment_hash` and `token` are 32 bytes each."""
    name, caveats = identifier(payment_hash, token), terms.caveats()
    return Macaroon(LOCATION, name, caveats, _signature(master, name, caveats))


def _signature(master: bytes, name: bytes, caveats: Iterable[bytes]) -> bytes:
    root = _hmac(master, name)
    signature = _hmac(_hmac(_KEY, root), name)
    for caveat in caveats:
        signature = _hmac(signature, caveat)
    return signature


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)


def encode(macaroon: Macaroon) -> bytes:
    """A macaroon on the wire."""
    parts = [bytes([_VERSION]), _field(_LOCATION, macaroon.location), _field(_IDENTIFIER, macaroon.identifier), b"\0"]
    for caveat in macaroon.caveats:
        parts += [_field(_IDENTIFIER, caveat), b"\0"]
    return b"".join([*parts, b"\0", _field(_SIGNATURE, macaroon.signature)])


def _field(kind: int, data: bytes) -> bytes:
    size = len(data)
    length = [size] if size < _SMALL else [size & 0x7F | _SMALL, size >> 7]
    return bytes([kind, *length]) + data


def challenge(macaroon: Macaroon, invoice: str) -> str:
    """The WWW-Authenticate header of an offer, in the order that every known client reads."""
    token = base64.b64encode(encode(macaroon)).decode()
    return f'L402 macaroon="{token}", invoice="{invoice}", version="0", token="{token}"'


# Reading -------------------------------------------------------------------------------------------------------


def parse(data: bytes) -> Macaroon:
    """A macaroon of the wire. Raises `BadCredential` for whatever `mint` and narrowing cannot have made."""
    if len(data) > MAX_TOKEN:
        raise BadCredential(why="it is too long")
    reader = _Reader(data)
    if reader.byte() != _VERSION:
        raise BadCredential(why="it is no macaroon of version 2")
    location, name = reader.field(_LOCATION), reader.field(_IDENTIFIER)
    reader.expect(_END)
    if location != LOCATION or len(name) != 2 + 2 * ID_BYTES or not name.startswith(_ID_VERSION):
        raise BadCredential(why="another service made it")
    caveats: list[bytes] = []
    while reader.peek() != _END:
        caveats.append(reader.field(_IDENTIFIER))
        reader.expect(_END)
    reader.expect(_END)
    signature = reader.field(_SIGNATURE)
    if reader.left or len(signature) != ID_BYTES or len(caveats) > MAX_CAVEATS:
        raise BadCredential(why="it is not whole")
    return Macaroon(location, name, tuple(caveats), signature)


class _Reader:
    """Reads fields one after the other; whatever does not fit is a token that is not whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def peek(self) -> int:
        if not self.left:
            raise BadCredential(why="it is not whole")
        return self._data[self._at]

    def byte(self) -> int:
        found = self.peek()
        self._at += 1
        return found

    def expect(self, kind: int) -> None:
        if self.byte() != kind:
            raise BadCredential(why="its parts are not those of a token of ours")

    def field(self, kind: int) -> bytes:
        self.expect(kind)
        size = self.byte()
        if size >= _SMALL:
            size += (self.byte() << 7) - _SMALL
            if not _SMALL <= size < _HUGE:  # a length in more bytes than it needs, or in three
                raise BadCredential(why="its parts are not those of a token of ours")
        if size > self.left:
            raise BadCredential(why="it is not whole")
        self._at += size
        return self._data[self._at - size : self._at]


def genuine(master: bytes, macaroon: Macaroon) -> bool:
    """Whether the hub with this secret minted it, and nothing but narrowing was done to it since. In constant time."""
    return hmac.compare_digest(_signature(master, macaroon.identifier, macaroon.caveats), macaroon.signature)


def read_authorization(header: str | None) -> Credential | None:
    """The credential of an Authorization header: `L402 <token>[,...]:<64 hex>`, or LSAT. None: it holds none of that kind.

    Tokens in base64, standard or URL-safe, with or without padding. Raises `BadCredential`.
    """
    if header is None or not _OURS.match(header):
        return None
    if len(header) > MAX_HEADER:
        raise BadCredential(why="it is too long")
    found = _CREDENTIAL.fullmatch(header.lstrip(" "))
    if found is None:
        raise BadCredential(why="the header is not L402 TOKEN:PREIMAGE")
    texts = [text.strip(" ") for text in found["tokens"].split(",")]
    if len(texts) > MAX_TOKENS:
        raise BadCredential(why="there are too many tokens in one header")
    return Credential(tuple(map(_decoded, texts)), bytes.fromhex(found["preimage"]))


def _decoded(text: str) -> bytes:
    """The bytes of a text in base64, of which there is but one spelling for each alphabet."""
    standard = text.translate(_URL_SAFE).rstrip("=")
    try:
        data = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        raise BadCredential(why="it is no base64") from None
    spelled = base64.b64encode(data).decode()
    if not data or standard != spelled.rstrip("=") or len(text) not in {len(standard), len(spelled)}:
        raise BadCredential(why="it is no base64")
    return data


# Deciding ------------------------------------------------------------------------------------------------------

_NUMBER = r"0|[1-9][0-9]{0,17}"
_CAVEATS = {
    "service": re.compile("[a-z]{1,20}"),
    "price_msat": re.compile(_NUMBER),
    "calls": re.compile(_NUMBER),
    "expires": re.compile(_NUMBER),
    "resource": re.compile(r"/[A-Za-z0-9/_.-]{0,100}"),
}
"""The caveats that are known, by name, and how their values are written; a token begins with one of each, in this order."""


def terms_of(caveats: tuple[bytes, ...]) -> tuple[Terms, Terms]:
    """What was sold, and what its holder left of it. Raises `BadCredential` at a caveat that is unknown, or would widen it."""
    read = [_caveat(caveat) for caveat in caveats]
    own, added = read[: len(_CAVEATS)], read[len(_CAVEATS) :]
    if [name for name, _ in own] != list(_CAVEATS):
        raise BadCredential(why="it does not say what it is for")
    service, price, calls, expires, resource = (value for _, value in own)
    sold = Terms(service, int(price), int(calls), int(expires) * SECOND, resource)
    terms = sold
    for name, value in added:
        terms = _narrowed(terms, name, value)
    return sold, terms


def _caveat(caveat: bytes) -> tuple[str, str]:
    name, _, value = caveat.decode("ascii", "replace").partition("=")
    pattern = _CAVEATS.get(name)
    if pattern is None or not pattern.fullmatch(value):
        raise BadCredential(why="it has a condition that is not known here")
    return name, value


def _narrowed(terms: Terms, name: str, value: str) -> Terms:
    match name:
        case "service":
            narrower, wider = terms._replace(service=value), value != terms.service
        case "price_msat":
            narrower, wider = terms._replace(price=int(value)), int(value) > terms.price
        case "calls":
            narrower, wider = terms._replace(calls=int(value)), int(value) > terms.calls
        case "expires":
            narrower, wider = terms._replace(expires=int(value) * SECOND), int(value) * SECOND > terms.expires
        case _:
            narrower, wider = terms._replace(resource=value), not within(value, terms.resource)
    if wider:
        raise BadCredential(why="it has a condition that would widen it")
    return narrower


def examine(master: bytes, credential: Credential) -> Grant:
    """What a credential opens, if it is genuine and its preimage is that of its payment; of several tokens, what all of them do.

    Whether the payment arrived is the node's to say, and is asked after this. Raises `BadCredential`.
    """
    macaroons = [parse(token) for token in credential.tokens]
    first = macaroons[0]
    if any(macaroon.identifier != first.identifier for macaroon in macaroons):
        raise BadCredential(why="its tokens are of several purchases")
    if not proves(credential.preimage, first.payment_hash):
        raise BadCredential(why="the preimage is not that of its payment")
    if not all(genuine(master, macaroon) for macaroon in macaroons):
        raise BadCredential(why="it was not made by this hub, or was changed")
    sold, terms = terms_of(first.caveats)
    for macaroon in macaroons[1:]:
        terms = _meet(terms, terms_of(macaroon.caveats)[1])
    return Grant(first.payment_hash, first.token, sold, terms)


def _meet(one: Terms, other: Terms) -> Terms:
    """What two holders' terms of the same bundle both allow."""
    if within(one.resource, other.resource):
        resource = one.resource
    elif within(other.resource, one.resource):
        resource = other.resource
    else:
        raise BadCredential(why="its tokens are for different things")
    return Terms(
        one.service, min(one.price, other.price), min(one.calls, other.calls), min(one.expires, other.expires), resource
    )
