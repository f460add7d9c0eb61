"""BOLT 11 invoices: read with every doubt, and signed, on the `bolt11` package (imported when the first one is met: 0.1 s).

The package checks the checksum, the signature and the fields. It is strict about too little: it takes mixed case and text of
any size, stops reading an amount at what it does not know, and rounds below a msat. So what is given to it is looked at first.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from core.money import MAX_SATS, to_msat
from core.wallet.lightning import BadInvoice, PaymentRequest

if TYPE_CHECKING:
    from bolt11 import Features

LONGEST = 7089
"""Characters of an invoice at most: what a QR code holds, which is LND's limit too."""

LONGEST_DESCRIPTION = 639
"""Bytes: 1023 groups of 5 bits (BOLT 11, "Tagged Fields")."""

_SCHEME = re.compile(r"lightning:(//)?", re.IGNORECASE)
_HUMAN = re.compile(r"ln(?P<prefix>bcrt|bc|tbs|tb)(?P<amount>(?P<number>[0-9]{1,20})(?P<unit>[munp]?))?")
_NETWORK = re.compile(r"ln(bc|tb)")
_DECI_MSAT = {"": 10**12, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
"""Tenths of a msat in one of each unit of an amount."""

_KNOWN = frozenset({4, 7, 8, 12, 18, 24})
"""Pairs of feature bits that invoices have (BOLT 9, context 9): onion, secret, parts, blinding, attribution, metadata."""

_UNREADABLE = "its fields or its signature cannot be read"
_REASONS = {
    "Bolt11Bech32InvalidException": "its checksum does not fit, so a part of it is missing or mistyped",
    "Bolt11SignatureTooShortException": "it is too short",
    "Bolt11NoPaymentHashException": "it has no payment hash",
    "Bolt11NoPaymentSecretException": "it has no payment secret",
    "Bolt11DescriptionException": "it does not say what it is for",
    "Bolt11SignatureVerifyException": "its signature is not its payee's",
}

_YEAR_10000 = 253_402_300_800
"""Unix seconds. No calendar goes further, and an expiry field may hold 5,115 bits."""

_FINAL_BLOCKS = 40
_FEATURES = 1 << 8 | 1 << 14
"""What a payer must know: the onion's format, and the payment secret (BOLT 9)."""

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
"""Letters of 5 bits (BIP 173)."""


class Unsigned(NamedTuple):
    """An invoice before it is signed. `amount` in msat, None: the payer's choice; `made_at` Unix ms; `expiry` seconds."""

    prefix: str
    payment_hash: bytes
    secret: bytes
    amount: int | None
    description: str
    made_at: int
    expiry: int
    final_blocks: int = _FINAL_BLOCKS
    """How many blocks what arrives must be good for."""

    @property
    def expires_at(self) -> int:
        """When it ends, Unix ms: an invoice counts in whole seconds."""
        return (self.made_at // 1000 + self.expiry) * 1000


def decode(text: str) -> PaymentRequest:
    """Read an invoice: in either case, as a `lightning:` link, with blanks around it. Raises `BadInvoice` for all else."""
    return _read(_plain(text))


@lru_cache(512)
def _read(bolt11: str) -> PaymentRequest:
    """The same invoice is read again and again, wherever a node lists it; the package takes milliseconds for one."""
    prefix, amount = _human_part(bolt11)
    from bolt11 import Bolt11Exception  # noqa: PLC0415 - see above
    from bolt11 import decode as read  # noqa: PLC0415

    try:
        found = read(bolt11)
        _check_features(found.features)
        return PaymentRequest(
            bolt11, prefix, bytes.fromhex(found.payment_hash), str(found.payee), amount, found.description or "",
            _in_ms(found.expiry_time),
        )  # fmt: skip
    except BadInvoice:
        raise
    except Bolt11Exception as error:
        raise BadInvoice(why=_REASONS.get(type(error).__name__, _UNREADABLE)) from error
    except Exception as error:  # the libraries below raise what they like, and a damaged invoice is no fault of the hub
        raise BadInvoice(why=_UNREADABLE) from error


def _plain(text: str) -> str:
    """The invoice alone, in lower case."""
    bare = text.strip()
    if scheme := _SCHEME.match(bare):
        bare = bare[scheme.end() :]
    if not bare:
        raise BadInvoice(why="there is none")
    if len(bare) > LONGEST:
        raise BadInvoice(why=f"it is longer than {LONGEST:,} characters")
    if not bare.isascii() or not bare.isalnum():
        raise BadInvoice(why="it has characters that no invoice has")
    if bare not in {bare.lower(), bare.upper()}:
        raise BadInvoice(why="it mixes upper and lower case")
    return bare.lower()


def _human_part(bolt11: str) -> tuple[str, int | None]:
    """The network's prefix, and the amount in msat if there is one."""
    human, separator, _ = bolt11.rpartition("1")
    found = _HUMAN.fullmatch(human)
    if not separator or found is None:
        known = separator and _NETWORK.match(human)
        raise BadInvoice(why="its amount cannot be read" if known else "its beginning is none of an invoice")
    if found["amount"] is None:
        return found["prefix"], None
    amount, rest = divmod(int(found["number"]) * _DECI_MSAT[found["unit"]], 10)
    if rest:
        raise BadInvoice(why="its amount is no whole number of msat")
    if not 0 < amount <= to_msat(MAX_SATS):
        raise BadInvoice(why="its amount is 0, or more than there are")
    return found["prefix"], amount


def _check_features(features: Features | None) -> None:
    """An even bit that we do not know means: do not pay (BOLT 11, "Requirements")."""
    for feature, state in features.feature_list.items() if features else ():
        if state.name == "required" and feature.value not in _KNOWN:
            raise BadInvoice(why=f"it needs the feature {2 * feature.value}, which is not known here")


def _in_ms(expires: int) -> int:
    if expires >= _YEAR_10000:
        raise BadInvoice(why="it expires after the year 9999")
    return expires * 1000


def encode(unsigned: Unsigned, key: bytes) -> str:
    """Sign an invoice with a node's private key (32 bytes).

    The package is not asked for this: what it signs for a multiple of 1,000 bitcoin asks for a thousandth.
    """
    from bech32 import bech32_encode, convertbits  # noqa: PLC0415
    from bolt11 import Signature  # noqa: PLC0415

    human = f"ln{unsigned.prefix}{_amount(unsigned.amount)}"
    groups = _groups(unsigned.made_at // 1000, 7)
    for letter, value in (
        ("p", unsigned.payment_hash),
        ("s", unsigned.secret),
        ("d", unsigned.description.encode()),
        ("x", unsigned.expiry),
        ("c", unsigned.final_blocks),
        ("9", _FEATURES),
    ):
        field = _groups(value) if isinstance(value, int) else convertbits(value, 8, 5) or []
        groups += [_CHARSET.index(letter), *_groups(len(field), 2), *field]
    signed = bytes(convertbits(groups, 5, 8) or [])
    signature = Signature.from_private_key(hrp=human, private_key=key.hex(), signing_data=signed)
    return bech32_encode(human, groups + (convertbits(signature.signature_data, 8, 5) or []))


def _amount(amount: int | None) -> str:
    """An amount as it stands in an invoice, in the largest unit that it is a whole number of."""
    if amount is None:
        return ""
    unit, size = next((unit, size) for unit, size in _DECI_MSAT.items() if not amount * 10 % size)
    return f"{amount * 10 // size}{unit}"


def _groups(number: int, least: int = 1) -> list[int]:
    """A number in groups of 5 bits, big-endian, in `least` of them at least."""
    count = max(least, -(-number.bit_length() // 5))
    return [number >> 5 * place & 31 for place in reversed(range(count))]


def public_key(key: bytes) -> str:
    """The public key of a private one, compressed, hex: what a node is known by."""
    from coincurve import PrivateKey  # noqa: PLC0415 - the rest of bolt11's libraries are for invoices

    return PrivateKey(key).public_key.format().hex()
