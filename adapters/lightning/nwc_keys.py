"""A connection of Nostr Wallet Connect as keys: what it says, what is signed and sealed for the wallet, what is really from it.

On `nostr-sdk` (imported with this module: 0.6 s), which signs, checks and encrypts. Its own client is not used: it tells an error
of the wallet's from a silence by its text alone, has one deadline for everything, and knows no notifications.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from nostr_sdk import Event, EventBuilder, Keys, Kind, NostrSdkError, PublicKey, Tag, Timestamp

from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

INFO, REQUEST, RESPONSE = 13194, 23194, 23195
NOTIFICATIONS = (23197, 23196)
"""Encrypted by NIP-44, and by NIP-04 for older clients."""

NIP44, NIP04 = "nip44_v2", "nip04"


class BadConnection(UserError):
    """TIMMY_NWC_URI cannot be used: {why}. Copy the connection again from the wallet, whole."""


class NotTheirs(Exception):
    """An event that is not the wallet's, or cannot be read with our key."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A request, signed and sealed. `text` is the event as JSON."""

    id: str
    text: str
    encryption: str


@dataclass(frozen=True, slots=True)
class Announced:
    """What the wallet says of itself (its info event, kind 13194)."""

    encryption: str
    notifies: bool


class NwcKeys:
    """The keys of the connection `uri`. Raises `BadConnection`, which does not show them."""

    def __init__(self, uri: str) -> None:
        try:
            parts = urlsplit(uri.strip())
            query = parse_qs(parts.query)
            self.wallet = (parts.netloc or parts.path).strip("/").lower()
            self._wallet = PublicKey.parse(self.wallet)
            self._keys = Keys.parse("".join(query.get("secret", [])))
            self._keys.nip44_encrypt(self._wallet, "whether it is a key")
        except (NostrSdkError, ValueError):
            raise BadConnection(why="its keys are none") from None
        self.relays = tuple(query.get("relay", ()))
        if parts.scheme != "nostr+walletconnect" or not self.relays:
            raise BadConnection(why="it names no relay")
        self.ours = self._keys.public_key().to_hex()

    def request(
        self, method: str, params: Mapping[str, object], encryption: str, now: int, expires: int | None
    ) -> Letter:
        """A request of the wallet (NIP-47), which it ignores after `expires`. Times in Unix seconds."""
        content = json.dumps({"method": method, "params": params})
        seal = self._keys.nip44_encrypt if encryption == NIP44 else self._keys.nip04_encrypt
        tags = [["p", self.wallet], ["encryption", encryption]]
        if expires is not None:
            tags.append(["expiration", str(expires)])
        event = (
            EventBuilder(Kind(REQUEST), seal(self._wallet, content))
            .tags([Tag.parse(tag) for tag in tags])
            .custom_created_at(Timestamp.from_secs(now))
            .finalize(self._keys)
        )
        return Letter(event.id().to_hex(), event.as_json(), encryption)

    def response(self, event: object, letter: Letter) -> str:
        """What the wallet answers to this request. Raises `NotTheirs`."""
        found = self._theirs(event, (RESPONSE,))
        if ["e", letter.id] not in [tag[:2] for tag in found["tags"]]:
            raise NotTheirs
        unseals = [self._keys.nip44_decrypt, self._keys.nip04_decrypt]
        for unseal in (
            unseals if letter.encryption == NIP44 else reversed(unseals)
        ):  # a refusal of ours may be in its own
            with suppress(NostrSdkError):
                return str(unseal(self._wallet, found["content"]))
        raise NotTheirs

    def announced(self, event: object) -> Announced:
        """What an info event says. Without a word on encryption it is the old one (NIP-47, "Encryption"). Raises `NotTheirs`."""
        tags = {tag[0]: " ".join(tag[1:]).split() for tag in self._theirs(event, (INFO,))["tags"] if tag}
        known = tags.get("encryption", [NIP04])
        if not {NIP44, NIP04} & set(known):
            raise NotTheirs
        return Announced(NIP44 if NIP44 in known else NIP04, "payment_received" in tags.get("notifications", []))

    def notifies(self, event: object) -> bool:
        """Whether the wallet tells of something. What it is, is asked."""
        try:
            self._theirs(event, NOTIFICATIONS)
        except NotTheirs:
            return False
        return True

    def _theirs(self, event: Any, kinds: tuple[int, ...]) -> dict[str, Any]:
        """An event by the wallet, with its signature checked: a relay may say what it likes."""
        try:
            found = Event.from_json(json.dumps(event))
            if found.kind().as_u16() in kinds and found.author().to_hex() == self.wallet and found.verify():
                return dict(event)
        except (NostrSdkError, ValueError, RecursionError):
            pass
        raise NotTheirs
