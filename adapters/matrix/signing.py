"""Cross-signing beside matrix-nio, which has none: the bot's own identity, and what the server says of other people's.

An identity is three Ed25519 keys: the master signs the other two, the self-signing key signs the devices of its owner, and the
user-signing key the masters of others. Source: https://spec.matrix.org/v1.11/client-server-api/#cross-signing.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from nio.api import Api
from vodozemac import Ed25519PublicKey, Ed25519Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

SEED_BYTES = 32
KINDS = ("master", "self_signing", "user_signing")


def unpadded(data: bytes) -> str:
    """Matrix's base64: the standard alphabet, without padding."""
    return base64.b64encode(data).decode().rstrip("=")


def canonical(thing: Mapping[str, Any]) -> bytes:
    """What is signed of an object: its canonical JSON without signatures and what is not signed."""
    signed = {key: value for key, value in thing.items() if key not in {"signatures", "unsigned"}}
    made: str = Api.to_canonical_json(signed)
    return made.encode()


def is_signed(thing: Mapping[str, Any], user: str, key: str, *, name: str = "") -> bool:
    """Whether an object carries a good signature of a user's Ed25519 key (unpadded base64). A device's goes by its `name`."""
    try:
        signature = Ed25519Signature.from_base64(thing["signatures"][user][f"ed25519:{name or key}"])
        Ed25519PublicKey.from_base64(key).verify_signature(canonical(thing), signature)
    except (KeyError, TypeError, ValueError):
        return False
    return True


class SigningKey:
    """One Ed25519 key, from its seed."""

    def __init__(self, seed: bytes) -> None:
        self._key = ECC.construct(curve="Ed25519", seed=seed)
        self.public = unpadded(self._key.public_key().export_key(format="raw"))

    def signature(self, thing: Mapping[str, Any]) -> str:
        """The signature of an object."""
        return unpadded(eddsa.new(self._key, "rfc8032").sign(canonical(thing)))

    def sign(self, thing: Json, user: str) -> Json:
        """The object, with this key's signature added."""
        theirs = {**thing.get("signatures", {}).get(user, {}), f"ed25519:{self.public}": self.signature(thing)}
        return {**thing, "signatures": {**thing.get("signatures", {}), user: theirs}}


class OwnIdentity:
    """The bot's three keys."""

    def __init__(self, user: str, seeds: Mapping[str, str]) -> None:
        self._user = user
        self.master, self.self_signing, self.user_signing = (
            SigningKey(base64.b64decode(seeds[kind])) for kind in KINDS
        )

    def master_object(self) -> Json:
        """The master key as the server keeps it."""
        return self._object("master", self.master)

    def upload(self, device: str, signature: str) -> Json:
        """The body of `/keys/device_signing/upload`, the master signed by the bot's `device` too, so that all see who it is."""
        master = self.master_object()
        master["signatures"] = {self._user: {f"ed25519:{device}": signature}}
        return {
            "master_key": master,
            "self_signing_key": self.master.sign(self._object("self_signing", self.self_signing), self._user),
            "user_signing_key": self.master.sign(self._object("user_signing", self.user_signing), self._user),
        }

    def _object(self, usage: str, key: SigningKey) -> Json:
        return {"user_id": self._user, "usage": [usage], "keys": {f"ed25519:{key.public}": key.public}}


@dataclass(frozen=True, slots=True)
class Claims:
    """What the server says of somebody: the master key ("": none) and the devices' keys.

    `vouched` are the devices that the master vouches for, `endorsing` those that have signed the master.
    """

    identity: str
    devices: frozenset[str]
    vouched: frozenset[str]
    endorsing: frozenset[str]


def claims(answer: Mapping[str, Any], user: str) -> Claims:
    """Read an answer to `/keys/query`; what is not signed as it should be is as if it were not there."""
    master, own = _key(answer, "master_keys", user), _key(answer, "self_signing_keys", user)
    keys: dict[str, str] = {}
    vouched: set[str] = set()
    for name, device in answer.get("device_keys", {}).get(user, {}).items():
        key = device.get("keys", {}).get(f"ed25519:{name}") if isinstance(device, dict) else None
        if not isinstance(key, str) or device.get("user_id") != user or device.get("device_id") != name:
            continue
        keys[name] = key
        if master and own and is_signed(own[1], user, master[0]) and is_signed(device, user, own[0]):
            vouched.add(key)
    endorsing = {key for name, key in keys.items() if master and is_signed(master[1], user, key, name=name)}
    return Claims(master[0] if master else "", frozenset(keys.values()), frozenset(vouched), frozenset(endorsing))


def _key(answer: Mapping[str, Any], where: str, user: str) -> tuple[str, Json] | None:
    """Somebody's key of one kind, and the object it came in."""
    thing = answer.get(where, {}).get(user)
    keys = thing.get("keys") if isinstance(thing, dict) and thing.get("user_id") == user else None
    if not isinstance(keys, dict) or len(keys) != 1:
        return None
    key = next(iter(keys.values()))
    return (key, thing) if isinstance(key, str) else None
