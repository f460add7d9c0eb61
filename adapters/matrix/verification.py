"""Verification in a room, as Element begins it: two people compare seven pictures, and the identities vouch for each other.

The other side asks, we are ready, it starts, both show a key, people compare, both send a MAC over their keys. What we show is put
to the hub's owner elsewhere, who says whether the other's screen shows the same: to confirm it by ourselves would prove nothing.
Source: https://spec.matrix.org/v1.11/client-server-api/#short-authentication-string-sas-verification; matrix-nio's own is broken
against other clients and knows no rooms.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import vodozemac
from nio.api import Api

from adapters.matrix.signing import unpadded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from core.ports import Clock

log = logging.getLogger(__name__)

Json = dict[str, Any]

MINUTES = 10
"""How long a verification may take, by the specification."""

OVER = "the verification is over. Begin it again in your Matrix client"
KINDS = "m.key.verification."
METHOD = "m.sas.v1"
_AGREED = {
    "key_agreement_protocol": "curve25519-hkdf-sha256", "hash": "sha256",
    "message_authentication_code": "hkdf-hmac-sha256.v2", "short_authentication_string": ["decimal", "emoji"],
}  # fmt: skip
_OFFERED = {
    "key_agreement_protocols": _AGREED["key_agreement_protocol"], "hashes": _AGREED["hash"],
    "message_authentication_codes": _AGREED["message_authentication_code"], "short_authentication_string": "emoji",
}  # fmt: skip

EMOJI = (
    """
🐶 Dog, 🐱 Cat, 🦁 Lion, 🐎 Horse, 🦄 Unicorn, 🐷 Pig, 🐘 Elephant, 🐰 Rabbit, 🐼 Panda, 🐓 Rooster, 🐧 Penguin,
🐢 Turtle, 🐟 Fish, 🐙 Octopus, 🦋 Butterfly, 🌷 Flower, 🌳 Tree, 🌵 Cactus, 🍄 Mushroom, 🌏 Globe, 🌙 Moon, ☁ Cloud,
🔥 Fire, 🍌 Banana, 🍎 Apple, 🍓 Strawberry, 🌽 Corn, 🍕 Pizza, 🎂 Cake, ❤ Heart, 😀 Smiley, 🤖 Robot, 🎩 Hat,
👓 Glasses, 🔧 Spanner, 🎅 Santa, 👍 Thumbs Up, ☂ Umbrella, ⌛ Hourglass, ⏰ Clock, 🎁 Gift, 💡 Light Bulb, 📕 Book,
✏ Pencil, 📎 Paperclip, ✂ Scissors, 🔒 Lock, 🔑 Key, 🔨 Hammer, ☎ Telephone, 🏁 Flag, 🚂 Train, 🚲 Bicycle,
✈ Aeroplane, 🚀 Rocket, 🏆 Trophy, ⚽ Ball, 🎸 Guitar, 🎺 Trumpet, 🔔 Bell, ⚓ Anchor, 🎧 Headphones, 📁 Folder,
📌 Pin
""".replace("\n", " ")
    .strip()
    .split(", ")
)
"""The 64 pictures of the specification, in its order."""


@dataclass
class Flow:
    """One verification: with whom, where, until when, and what was exchanged so far."""

    id: str
    room: str
    user: str
    device: str
    until: int
    sas: vodozemac.Sas = field(default_factory=vodozemac.Sas)
    start: Json | None = None
    secret: vodozemac.EstablishedSas | None = None
    shown: str = ""
    confirmed: bool = False
    verified: bool = False
    mac: Json | None = None
    theirs: str = ""

    @property
    def shown_as(self) -> str:
        """What the owner is asked about: this flow with exactly these keys, so that a yes to one is a yes to no other."""
        start = Api.to_canonical_json(self.start or {})
        return f"{self.id} {unpadded(hashlib.sha256(f'{self.mine}|{self.theirs}|{start}'.encode()).digest())}"

    @property
    def mine(self) -> str:
        """The public key that the bot shows."""
        made: str = self.sas.public_key.to_base64()
        return made


@dataclass(frozen=True, slots=True)
class Said:
    """Where, by whom, in which event, and when (the server's Unix ms) something was said."""

    room: str
    sender: str
    event: str
    at: int


@dataclass(frozen=True, slots=True)
class Own:
    """Who the bot is: user, device, and the Ed25519 public keys of the device and of the master."""

    user: str
    device: str
    key: str
    master: str


@dataclass(frozen=True, slots=True)
class Ties:
    """What a verification reaches.

    `send` (room, type, content) an event, `ask` the owner, `keys` of a user by name as the server says, who is `verified`, and
    who is `known` to the hub.
    """

    send: Callable[[str, str, Json], Awaitable[None]]
    ask: Callable[[Flow], Awaitable[None]]
    keys: Callable[[str], Awaitable[Mapping[str, str]]]
    verified: Callable[[str, str], Awaitable[None]]
    known: Callable[[str], bool]


class Verifications:
    """The verifications under way. They end with the process: the other side begins again."""

    def __init__(self, own: Own, ties: Ties, clock: Clock) -> None:
        self._own = own
        self._ties = ties
        self._clock = clock
        self._flows: dict[str, Flow] = {}
        self._used: dict[str, int] = {}

    async def take(self, said: Said, source: Mapping[str, Any]) -> bool:
        """Take an event of a room; false if it is none of a verification. It never raises: the other side can begin again."""
        kind, content = str(source.get("type")), source.get("content")
        if not isinstance(content, dict):
            return False
        asks = content.get("msgtype") == f"{KINDS}request"
        if not asks and not kind.startswith(KINDS):
            return False
        try:
            await (self._requested(said, content) if asks else self._stepped(said, kind, content))
        except Exception as error:  # noqa: BLE001 - what somebody sent, and whether the server takes the answer, stops nobody else
            log.info("a verification with %s broke off: %s", said.sender, error)
        return True

    async def _stepped(self, said: Said, kind: str, content: Json) -> None:
        relation = content.get("m.relates_to")
        flow = self._flows.get(str(relation.get("event_id"))) if isinstance(relation, dict) else None
        if flow is None or (flow.room, flow.user) != (said.room, said.sender):
            return
        if self._clock.now() > flow.until:
            self._flows.pop(flow.id)
            return
        steps = {"start": self._started, "key": self._keyed, "mac": self._sealed, "cancel": self._cancelled}
        step = steps.get(kind.removeprefix(KINDS))
        if step is not None:
            try:
                await step(flow, content)
            except (KeyError, TypeError, ValueError, vodozemac.KeyException, vodozemac.SasException):
                await self._cancel(flow, "m.invalid_message", "the message cannot be read")
                raise

    async def confirm(self, shown: str) -> str:
        """The owner says that both show what was `shown` (`Flow.shown_as`). Returns what came of it, in words."""
        flow = next((flow for flow in self._flows.values() if flow.secret is not None and flow.shown_as == shown), None)
        if flow is None or self._clock.now() > flow.until:
            return OVER
        if not flow.confirmed:
            await self._send(flow, "mac", self._mac(flow))
            flow.confirmed = True
        await self._check(flow)
        if flow.verified:
            return f"{flow.user} is verified"
        return f"what {flow.user} sees was confirmed; it is theirs to confirm too" if flow.id in self._flows else OVER

    async def _requested(self, said: Said, content: Json) -> None:
        """Somebody who was let in asks, just now, under a name that was never used: one verification at a time with each."""
        now = self._clock.now()
        fresh = abs(now - said.at) <= MINUTES * 60_000 and said.event not in self._used
        if content.get("to") != self._own.user or METHOD not in content["methods"] or not fresh:
            return
        if not self._ties.known(said.sender):
            return
        self._used[said.event] = now
        for old in [name for name, at in self._used.items() if now - at > 2 * MINUTES * 60_000]:
            del self._used[old]
        for old in [flow.id for flow in self._flows.values() if flow.user == said.sender]:
            del self._flows[old]
        flow = Flow(said.event, said.room, said.sender, str(content.get("from_device")), now + MINUTES * 60_000)
        self._flows[flow.id] = flow
        await self._send(flow, "ready", {"from_device": self._own.device, "methods": [METHOD]})

    async def _started(self, flow: Flow, content: Json) -> None:
        if flow.start is not None:
            return
        if content["method"] != METHOD or any(wanted not in content[key] for key, wanted in _OFFERED.items()):
            await self._cancel(flow, "m.unknown_method", "no common method")
            return
        flow.start = content
        flow.device = str(content["from_device"])
        said = flow.mine + Api.to_canonical_json(content)
        commitment = unpadded(hashlib.sha256(said.encode()).digest())
        await self._send(flow, "accept", {"method": METHOD, **_AGREED, "commitment": commitment})

    async def _keyed(self, flow: Flow, content: Json) -> None:
        if flow.start is None or flow.secret is not None:
            return
        mine, theirs = flow.mine, str(content["key"])
        flow.theirs = theirs
        flow.secret = flow.sas.diffie_hellman(vodozemac.Curve25519PublicKey.from_base64(theirs))
        own = self._own
        info = (
            f"MATRIX_KEY_VERIFICATION_SAS|{flow.user}|{flow.device}|{theirs}|{own.user}|{own.device}|{mine}|{flow.id}"
        )
        flow.shown = "  ".join(EMOJI[number] for number in flow.secret.bytes(info).emoji_indices)
        await self._send(flow, "key", {"key": mine})
        await self._ties.ask(flow)

    async def _sealed(self, flow: Flow, content: Json) -> None:
        if flow.secret is None or flow.mac is not None:
            return
        flow.mac = content
        await self._check(flow)

    async def _check(self, flow: Flow) -> None:
        """Once both have agreed: the other's keys are those that the server says, the master among them, or it is off."""
        if not flow.confirmed or flow.mac is None or flow.secret is None or flow.id not in self._flows:
            return
        base = f"MATRIX_KEY_VERIFICATION_MAC{flow.user}{flow.device}{self._own.user}{self._own.device}{flow.id}"
        known = await self._ties.keys(flow.user)
        macs = flow.mac["mac"]
        if not isinstance(macs, dict):
            message = "no MACs"
            raise TypeError(message)
        try:
            flow.secret.verify_mac(",".join(sorted(macs)), f"{base}KEY_IDS", flow.mac["keys"])
            for name, mac in macs.items():
                if name in known:
                    flow.secret.verify_mac(known[name], base + name, mac)
        except vodozemac.SasException:
            await self._cancel(flow, "m.key_mismatch", "the keys are not those that the server says")
            return
        master = next((key for name, key in known.items() if name in macs and name == f"ed25519:{key}"), None)
        if master is None:
            await self._cancel(flow, "m.key_mismatch", "your client did not vouch for your identity")
            return
        await self._ties.verified(flow.user, master)
        flow.verified = True
        self._flows.pop(flow.id, None)
        await self._send(flow, "done", {})

    def _mac(self, flow: Flow) -> Json:
        own = self._own
        base = f"MATRIX_KEY_VERIFICATION_MAC{own.user}{own.device}{flow.user}{flow.device}{flow.id}"
        keys = {f"ed25519:{own.device}": own.key, f"ed25519:{own.master}": own.master}
        secret = flow.secret
        if secret is None:
            message = "nothing was shown yet"
            raise ValueError(message)
        return {
            "mac": {name: secret.calculate_mac(key, base + name) for name, key in keys.items()},
            "keys": secret.calculate_mac(",".join(sorted(keys)), f"{base}KEY_IDS"),
        }

    async def _cancelled(self, flow: Flow, content: Json) -> None:  # noqa: ARG002 - a step
        """The other side says that it is over, whatever the owner has said."""
        self._flows.pop(flow.id, None)

    async def _cancel(self, flow: Flow, code: str, why: str) -> None:
        self._flows.pop(flow.id, None)
        await self._send(flow, "cancel", {"code": code, "reason": why})

    async def _send(self, flow: Flow, kind: str, content: Json) -> None:
        relation = {"rel_type": "m.reference", "event_id": flow.id}
        await self._ties.send(flow.room, KINDS + kind, {**content, "m.relates_to": relation})
