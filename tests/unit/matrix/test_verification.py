"""In-room verification against a second implementation of the other side, with every way in which it can go wrong.

That Element's own library agrees with it is seen by tests/real/test_matrix_verification.py.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import vodozemac
from nio.api import Api

from adapters.matrix.verification import EMOJI, KINDS, Own, Said, Ties, Verifications
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from adapters.matrix.verification import Flow

OWN = Own("@timmy:b", "TIMMY", "botkey", "botmaster")
ANN = "@ann:b"
ROOM = "!r:b"
KEYS = {"ed25519:PHONE": "annkey", "ed25519:annmaster": "annmaster"}
START = {
    "from_device": "PHONE", "method": "m.sas.v1", "key_agreement_protocols": ["curve25519-hkdf-sha256", "curve25519"],
    "hashes": ["sha256"], "message_authentication_codes": ["hkdf-hmac-sha256.v2", "hkdf-hmac-sha256"],
    "short_authentication_string": ["decimal", "emoji"], "m.relates_to": {"rel_type": "m.reference", "event_id": "$flow"},
}  # fmt: skip


@dataclass
class Ann:
    """The one who asks, and what the bot sent her and did."""

    clock: FakeClock = field(default_factory=FakeClock)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    refused: Exception | None = None
    verified: list[tuple[str, str]] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    sas: vodozemac.Sas = field(default_factory=vodozemac.Sas)

    def __post_init__(self) -> None:
        self.bot = Verifications(
            OWN, Ties(self._send, self._ask, self._keys, self._verified, lambda user: user != "@stranger:b"), self.clock
        )
        self.public = self.sas.public_key.to_base64()

    async def _send(self, room: str, kind: str, content: dict[str, Any]) -> None:
        if self.refused is not None:
            raise self.refused
        assert room == ROOM
        assert content["m.relates_to"] == {"rel_type": "m.reference", "event_id": "$flow"}
        self.sent.append((kind.removeprefix(KINDS), content))

    async def _ask(self, flow: Flow) -> None:
        self.asked.append(flow.shown)
        self.names.append(flow.shown_as)

    async def _keys(self, user: str) -> dict[str, str]:
        assert user == ANN
        return self.known

    async def _verified(self, user: str, master: str) -> None:
        self.verified.append((user, master))

    def said(self, event: str, *, sender: str = ANN, room: str = ROOM, late: int = 0) -> Said:
        return Said(room, sender, event, self.clock.now() - late)

    async def say(self, kind: str, content: dict[str, Any], *, sender: str = ANN, room: str = ROOM) -> bool:
        related = {"m.relates_to": {"rel_type": "m.reference", "event_id": "$flow"}, **content}
        return await self.bot.take(
            self.said("$any", sender=sender, room=room), {"type": KINDS + kind, "content": related}
        )

    async def request(self, *, event: str = "$flow", sender: str = ANN, late: int = 0, **but: Any) -> None:
        content = {"msgtype": f"{KINDS}request", "to": OWN.user, "from_device": "PHONE", "methods": ["m.sas.v1"], **but}
        source = {"type": "m.room.message", "content": content}
        assert await self.bot.take(self.said(event, sender=sender, late=late), source)

    async def confirm(self) -> str:
        """The owner says yes to what they were shown last."""
        return await self.bot.confirm(self.names[-1] if self.names else "$flow nothing")

    async def shown(self) -> vodozemac.EstablishedSas:
        """Go as far as the pictures."""
        await self.request()
        await self.say("start", START)
        await self.say("key", {"key": self.public})
        theirs = next(content["key"] for kind, content in self.sent if kind == "key")
        return self.sas.diffie_hellman(vodozemac.Curve25519PublicKey.from_base64(theirs))

    def mac(self, secret: vodozemac.EstablishedSas, keys: dict[str, str]) -> dict[str, Any]:
        base = f"MATRIX_KEY_VERIFICATION_MAC{ANN}PHONE{OWN.user}{OWN.device}$flow"
        return {
            "mac": {name: secret.calculate_mac(key, base + name) for name, key in keys.items()},
            "keys": secret.calculate_mac(",".join(sorted(keys)), base + "KEY_IDS"),
        }

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.sent]


@pytest.mark.parametrize("first", ["owner", "ann"])
async def test_both_agree_in_either_order_and_know_each_others_master(first: str) -> None:
    ann = Ann()
    secret = await ann.shown()
    if first == "ann":
        await ann.say("mac", ann.mac(secret, KEYS))
        assert ann.verified == []
    said = f"{ANN} is verified" if first == "ann" else f"what {ANN} sees was confirmed; it is theirs to confirm too"
    assert await ann.confirm() == said
    if first == "owner":
        await ann.say("mac", ann.mac(secret, KEYS))
    assert ann.verified == [(ANN, "annmaster")]
    assert ann.kinds == ["ready", "accept", "key", "mac", "done"]

    accept, key, mac = (dict(ann.sent)[kind] for kind in ("accept", "key", "mac"))
    told = hashlib.sha256((key["key"] + Api.to_canonical_json(START)).encode()).digest()
    assert accept["commitment"] == base64.b64encode(told).decode().rstrip("=")
    base = f"MATRIX_KEY_VERIFICATION_MAC{OWN.user}{OWN.device}{ANN}PHONE$flow"
    secret.verify_mac("ed25519:TIMMY,ed25519:botmaster", base + "KEY_IDS", mac["keys"])
    secret.verify_mac("botmaster", base + "ed25519:botmaster", mac["mac"]["ed25519:botmaster"])
    secret.verify_mac("botkey", base + "ed25519:TIMMY", mac["mac"]["ed25519:TIMMY"])

    info = f"MATRIX_KEY_VERIFICATION_SAS|{ANN}|PHONE|{ann.public}|{OWN.user}|{OWN.device}|{key['key']}|$flow"
    assert ann.asked == ["  ".join(EMOJI[number] for number in secret.bytes(info).emoji_indices)]


async def test_without_the_owners_word_nothing_is_verified() -> None:
    ann = Ann()
    await ann.say("mac", ann.mac(await ann.shown(), KEYS))
    await ann.say("done", {})
    assert (ann.verified, ann.kinds) == ([], ["ready", "accept", "key"])


@pytest.mark.parametrize(
    "keys", [{"ed25519:PHONE": "annkey", "ed25519:annmaster": "evil"}, {"ed25519:PHONE": "annkey"}, {"ed25519:x": "x"}]
)
async def test_keys_that_are_not_what_the_server_says_or_no_master_end_it(keys: dict[str, str]) -> None:
    ann = Ann()
    secret = await ann.shown()
    await ann.confirm()
    await ann.say("mac", ann.mac(secret, keys))
    assert (ann.verified, ann.sent[-1][1]["code"]) == ([], "m.key_mismatch")
    assert "is over" in await ann.confirm()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"keys": "AAAA"},
        {"mac": {}},
        {"mac": "x"},
        {"mac": ["ed25519:PHONE"]},
        {"keys": 7},
        {"mac": {"ed25519:PHONE": 5}},
    ],
)
async def test_a_mac_that_does_not_hold_ends_it(spoilt: dict[str, Any]) -> None:
    ann = Ann()
    secret = await ann.shown()
    await ann.confirm()
    await ann.say("mac", ann.mac(secret, KEYS) | spoilt)
    assert ann.verified == []
    assert ann.kinds[-1] == "cancel"


async def test_what_somebody_else_or_another_room_says_changes_nothing() -> None:
    ann = Ann()
    await ann.request()
    for how in ({"sender": "@eve:b"}, {"room": "!other:b"}):
        assert await ann.say("start", START, **how)
    assert ann.kinds == ["ready"]
    hello = {"type": "m.room.message", "content": {"msgtype": "m.text", "body": "hi"}}
    assert await ann.bot.take(ann.said("$e"), hello) is False


async def test_it_ends_after_ten_minutes() -> None:
    ann = Ann()
    await ann.shown()
    ann.clock.advance(600_001)
    assert "is over" in await ann.confirm()
    await ann.request(to="@other:b")
    await ann.request(methods=["m.qr"])
    assert ann.kinds == ["ready", "accept", "key"]


@pytest.mark.parametrize(
    "start",
    [
        {"method": "m.reciprocate.v1"},
        {"hashes": ["md5"]},
        {"key_agreement_protocols": []},
        {"hashes": None},
        {"method": None},
    ],
)
async def test_a_start_without_a_common_way_ends_it(start: dict[str, Any]) -> None:
    ann = Ann()
    await ann.request()
    await ann.say("start", START | start)
    assert ann.kinds == ["ready", "cancel"]
    await ann.say("key", {"key": ann.public})
    assert ann.asked == []


@pytest.mark.parametrize("key", ["", "AAAA", "!", None])
async def test_a_key_that_is_none_ends_it(key: str | None) -> None:
    ann = Ann()
    await ann.request()
    await ann.say("start", START)
    await ann.say("key", {"key": key})
    assert ann.kinds[-1] == "cancel"
    assert ann.asked == []


@pytest.mark.parametrize("spoilt", [{"methods": 5}, {"methods": None}, {"to": []}, {"from_device": {}}])
async def test_a_request_that_is_none_stops_nothing(spoilt: dict[str, Any]) -> None:
    ann = Ann()
    await ann.request(**spoilt)
    await ann.request(event="$flow" if "from_device" not in spoilt else "$other", sender="@stranger:b")
    assert ann.kinds == (["ready"] if "from_device" in spoilt else [])


@pytest.mark.parametrize("how", [{"sender": "@stranger:b"}, {"late": 600_001}, {"late": -600_001}])
async def test_a_stranger_or_a_request_of_another_time_is_not_answered(how: dict[str, Any]) -> None:
    ann = Ann()
    await ann.request(**how)
    assert ann.kinds == []


async def test_what_the_server_refuses_ends_it_and_nothing_else() -> None:
    ann = Ann(refused=RuntimeError("M_FORBIDDEN"))
    await ann.request()
    assert ann.sent == []


async def test_a_yes_to_one_is_a_yes_to_no_other_of_the_same_name() -> None:
    ann = Ann()
    await ann.shown()
    first = ann.names[-1]
    await ann.say("cancel", {"code": "m.user"})
    await ann.request()
    assert ann.kinds == ["ready", "accept", "key"], "a name that was used is used up"
    ann.bot._used.clear()
    ann.sas = vodozemac.Sas()
    ann.public = ann.sas.public_key.to_base64()
    await ann.shown()
    assert "is over" in await ann.bot.confirm(first)
    assert ann.kinds.count("mac") == 0
    assert ann.names[-1] != first


async def test_who_says_that_they_do_not_match_is_not_verified_whatever_the_owner_said() -> None:
    ann = Ann()
    secret = await ann.shown()
    await ann.confirm()
    await ann.say("cancel", {"code": "m.mismatched_sas"})
    await ann.say("mac", ann.mac(secret, KEYS))
    assert ann.verified == []
    assert "is over" in await ann.confirm()


async def test_before_anything_was_shown_nothing_can_be_confirmed() -> None:
    ann = Ann()
    await ann.request()
    await ann.say("start", START)
    assert "is over" in await ann.bot.confirm("$flow")
    assert ann.kinds == ["ready", "accept"]


async def test_a_new_request_of_somebody_ends_only_their_own_before() -> None:
    ann = Ann()
    await ann.shown()
    await ann.request(event="$bobs", sender="@bob:b")
    assert f"what {ANN} sees was confirmed" in await ann.confirm()
    await ann.request(event="$next")
    assert "is over" in await ann.confirm()
