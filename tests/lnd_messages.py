"""LND's messages as its gateway takes them: fields and their types, JSON by protojson's rules, bytes in either base64.

Types from lnrpc/*.proto; of each message the fields that a client of ours could mean.
"""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from typing import Any

from tests.lnd_node import INVALID, Refusal

_INT32, _INT64 = 2**31, 2**63
INVOICE = {"memo": "text", "r_preimage": "bytes", "value": "int64", "value_msat": "int64", "description_hash": "bytes",
    "expiry": "int64", "fallback_addr": "text", "cltv_expiry": "int64", "private": "bool", "is_amp": "bool"}  # fmt: skip
HOLD = {"memo": "text", "hash": "bytes", "value": "int64", "value_msat": "int64", "description_hash": "bytes",
    "expiry": "int64", "fallback_addr": "text", "cltv_expiry": "int64", "private": "bool"}  # fmt: skip
SEND = {"dest": "bytes", "amt": "int64", "payment_hash": "bytes", "final_cltv_delta": "int32", "payment_request": "text",
    "timeout_seconds": "int32", "fee_limit_sat": "int64", "cltv_limit": "int32", "amt_msat": "int64",
    "fee_limit_msat": "int64", "last_hop_pubkey": "bytes", "allow_self_payment": "bool", "max_parts": "int32",
    "no_inflight_updates": "bool", "amp": "bool", "cancelable": "bool"}  # fmt: skip


def parsed(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def message(body: Any, fields: dict[str, str]) -> dict[str, Any]:
    """A body as protojson takes it: no unknown field, int64 as text or number, bytes as base64."""
    if not isinstance(body, dict):
        raise Refusal("proto: syntax error (line 1:1): unexpected token", INVALID)
    for key, value in body.items():
        kind = fields.get(key)
        if kind is None:
            raise Refusal(f'proto: (line 1:2): unknown field "{key}"', INVALID)
        if not _is(kind, value):
            raise Refusal(f"proto: (line 1:2): invalid value for {kind} field {key}: {json.dumps(value)}", INVALID)
    return dict(body)


def _is(kind: str, value: Any) -> bool:
    if kind in {"int32", "int64"}:
        most = _INT32 if kind == "int32" else _INT64
        whole = type(value) is int or (isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) is not None)
        return whole and -most <= int(value) < most
    if kind == "bytes":
        with suppress(ValueError):
            return isinstance(value, str) and of_body(value) is not None
        return False
    return isinstance(value, bool if kind == "bool" else str)


def of_body(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def of_url(text: str) -> bytes:
    """Either alphabet, padded (runtime.Bytes)."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raise Refusal(
            "type mismatch, parameter: payment_hash, error: illegal base64 data at input byte 0", INVALID
        ) from None


def hash_of(data: bytes, what: str = "hash") -> bytes:
    if len(data) != 32:
        raise Refusal(f"invalid {what} length of {len(data)}, want 32")
    return data


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def field(number: int, data: bytes) -> bytes:
    """A protobuf field of bytes shorter than 16 KiB."""
    size = bytes([len(data)]) if len(data) < 0x80 else bytes([len(data) & 0x7F | 0x80, len(data) >> 7])
    return bytes([number << 3 | 2]) + size + data
