"""Keys on the fake homeserver, and people with keys: a `Peer` is matrix-nio's Olm machine without a network.

Source: https://spec.matrix.org/v1.11/client-server-api/#end-to-end-encryption.
"""

from __future__ import annotations

import base64
import copy
import itertools
from typing import TYPE_CHECKING, Any

from nio import Event, KeysClaimResponse, KeysQueryResponse, MegolmEvent
from nio.crypto import DeviceStore, GroupSessionStore, Olm, SessionStore
from nio.events.to_device import ToDeviceEvent

from adapters.matrix.signing import KINDS, OwnIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]


class KeyServer:
    """What a homeserver keeps of keys: devices, one-time keys, identities, and messages from device to device."""

    def __init__(self) -> None:
        self.devices: dict[str, dict[str, Json]] = {}
        self.identities: dict[str, Json] = {}
        self.spare: dict[tuple[str, str], dict[str, Json]] = {}
        self.mail: dict[tuple[str, str], list[tuple[int, Json]]] = {}
        self.changed: list[tuple[int, str]] = []
        self.away: set[str] = set()
        """Of whom no server says anything."""
        self.deaf = 0
        """How many of the next messages from device to device are refused."""
        self._numbers = itertools.count(1)

    def upload(self, user: str, device: str, body: Mapping[str, Any], at: int) -> Json:
        """`/keys/upload`."""
        if "device_keys" in body:
            self.devices.setdefault(user, {})[device] = copy.deepcopy(body["device_keys"])
            self.changed.append((at, user))
        spare = self.spare.setdefault((user, device), {})
        spare.update(body.get("one_time_keys", {}))
        return {"one_time_key_counts": {"curve25519": 0, "signed_curve25519": len(spare)}}

    def query(self, users: Mapping[str, Any]) -> Json:
        """`/keys/query`."""
        there = [user for user in users if user not in self.away]
        found: Json = {
            "device_keys": {user: copy.deepcopy(self.devices.get(user, {})) for user in there},
            "failures": {},
        }
        for kind in KINDS:
            found[f"{kind}_keys"] = {
                user: copy.deepcopy(self.identities[user][f"{kind}_key"]) for user in users if user in self.identities
            }
        return found

    def claim(self, wanted: Mapping[str, Mapping[str, str]]) -> Json:
        """`/keys/claim`."""
        given: Json = {}
        for user, devices in wanted.items():
            for device in devices:
                if spare := self.spare.get((user, device)):
                    name = next(iter(spare))
                    given.setdefault(user, {})[device] = {name: spare.pop(name)}
        return {"one_time_keys": given, "failures": {}}

    def identify(self, user: str, body: Json, at: int) -> None:
        """`/keys/device_signing/upload`."""
        self.identities[user] = copy.deepcopy(body)
        self.changed.append((at, user))

    def sign(self, body: Mapping[str, Mapping[str, Json]], at: int) -> None:
        """`/keys/signatures/upload`: of devices, and of masters."""
        for user, things in body.items():
            for device, signed in things.items():
                kept = self.devices[user].get(device) or self.identities[user]["master_key"]
                for whose, signatures in signed["signatures"].items():
                    kept.setdefault("signatures", {}).setdefault(whose, {}).update(signatures)
            self.changed.append((at, user))

    def send(self, sender: str, kind: str, messages: Mapping[str, Mapping[str, Json]], at: int) -> None:
        """`/sendToDevice`."""
        for user, devices in messages.items():
            for device, content in devices.items():
                event = {"type": kind, "sender": sender, "content": content}
                self.mail.setdefault((user, device), []).append((at, event))

    def forget(self, user: str, device: str, at: int) -> None:
        """A device is signed out."""
        self.devices.get(user, {}).pop(device, None)
        self.spare.pop((user, device), None)
        self.changed.append((at, user))

    def news(self, user: str, device: str, since: int | None) -> Json:
        """What a sync says of it: mail since then stays until the next sync has confirmed it."""
        mail = [(at, event) for at, event in self.mail.get((user, device), []) if since is None or at > since]
        self.mail[user, device] = mail
        return {
            "to_device": {"events": [event for _, event in mail]},
            "device_one_time_keys_count": {"signed_curve25519": len(self.spare.get((user, device), {}))},
            "device_lists": {
                "changed": sorted({who for at, who in self.changed if since is not None and at > since}),
                "left": [],
            },
        }


class NoStore:
    """A store that keeps nothing: the machine in memory is all that a test needs."""

    load_sessions = SessionStore
    load_inbound_group_sessions = GroupSessionStore
    load_device_keys = DeviceStore
    load_outgoing_key_requests = dict

    def load_account(self) -> None:
        """There is none yet."""

    def __getattr__(self, name: str) -> Any:
        """`save_...` and the like."""
        return lambda *_: None


class Peer:
    """Somebody with a device: writes what only the bot can read, and reads what the bot wrote."""

    def __init__(self, keys: KeyServer, user: str, device: str = "PHONE", *, seed: int | None = 1) -> None:
        """`seed` makes the identity that signs the device; None: there is no cross-signing."""
        self.keys = keys
        self.user = user
        self.device = device
        self.olm = Olm(user, device, NoStore())
        keys.upload(user, device, self.olm.share_keys(), 0)
        self.olm.account.shared = True
        if seed is not None:
            self.identify(seed)

    def identify(self, seed: int) -> None:
        """Set up cross-signing, or begin it anew."""
        seeds = {kind: base64.b64encode(bytes([seed, number]) * 16).decode() for number, kind in enumerate(KINDS)}
        own = OwnIdentity(self.user, seeds)
        self.keys.identify(self.user, own.upload(self.device, self.olm.sign_json(own.master_object())), 0)
        signed = own.self_signing.sign(self.keys.devices[self.user][self.device], self.user)
        self.keys.sign({self.user: {self.device: signed}}, 0)

    def sealed(self, room: str, to: str, kind: str, content: Json) -> tuple[dict[tuple[str, str], Json], Json]:
        """A message for one user's devices: the keys on their way, by device, and the encrypted content."""
        olm = self.olm
        olm.handle_response(KeysQueryResponse.from_dict(self.keys.query({to: []})))
        missing = olm.get_missing_sessions([to])
        if missing:
            wanted = {user: dict.fromkeys(devices, "signed_curve25519") for user, devices in missing.items()}
            olm.handle_response(KeysClaimResponse.from_dict(self.keys.claim(wanted)))
        mail: dict[tuple[str, str], Json] = {}
        if olm.should_share_group_session(room):
            self.forget(room)  # the library shares none anew: it goes on with the one that has run out
            _, said = olm.share_group_session(room, [to], ignore_missing_sessions=True, ignore_unverified_devices=True)
            mail = {
                (user, device): one for user, devices in said["messages"].items() for device, one in devices.items()
            }
            olm.outbound_group_sessions[room].shared = True
        sealed = olm.group_encrypt(room, {"content": content, "type": kind})
        if "m.relates_to" in content:
            sealed["m.relates_to"] = content["m.relates_to"]
        return mail, sealed

    def forget(self, room: str) -> None:
        """Begin a new key for a room."""
        self.olm.outbound_group_sessions.pop(room, None)

    def opened(self, room: str, event: Json) -> Json | None:
        """An event as it was before it was encrypted; None without its key."""
        for _, mail in self.keys.mail.pop((self.user, self.device), []):
            self.olm.handle_to_device_event(ToDeviceEvent.parse_event(mail))
        parsed = Event.parse_event(copy.deepcopy(event))
        assert isinstance(parsed, MegolmEvent)
        found = self.olm._decrypt_megolm_no_error(parsed, room)
        return None if found is None else {**event, "type": found.source["type"], "content": found.source["content"]}
