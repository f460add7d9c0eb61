"""End-to-end encryption: the bot's keys on the server, who wrote what is decrypted, and that what is sent can be read by all.

matrix-nio keeps the ratchets; which device is believed, that a room stays encrypted, and that a key has arrived are ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, cast

from aiohttp import ClientError
from nio import EncryptionError, ErrorResponse, KeysQueryResponse

from adapters.matrix.guard import is_unkept
from adapters.matrix.signing import OwnIdentity, claims
from adapters.matrix.trust import CHANGED, PLAIN, doubt, grown, met
from adapters.matrix.verification import Own
from core.errors import Unavailable
from core.messages import Pin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from nio import AsyncClient, Event, MegolmEvent, Response
    from nio.crypto import OlmDevice

    from adapters.matrix.guard import GuardedOlm
    from adapters.matrix.identity import IdentityFile
    from adapters.matrix.memory import Memory
    from adapters.matrix.signing import Claims, Json
    from adapters.matrix.trust import Mode

log = logging.getLogger(__name__)

EXPORT = "room-keys.txt"
EXPORT_MS = 600_000
"""New keys are exported at most that often: it reads them all."""

ROUNDS = 1
"""Of PBKDF2; the passphrase is 24 random bytes, which no number of rounds makes harder to guess."""

_API = "/_matrix/client/v3"
_OK = 200
_UNAUTHORIZED = 401


class StoreLost(Unavailable):
    """The keys of the bot's Matrix device {device} are lost, and its access token is bound to it. Set a password instead."""


class Refusal(Unavailable):
    """Matrix refuses {what}: {why}"""


class Forged(Refusal):
    """{what} is not from whom it says: {why}"""


class Encryption:
    """The keys of one signed-in client. `tell` (key, text) says something to the owner, once for each key."""

    def __init__(
        self,
        client: AsyncClient,
        identity: IdentityFile,
        memory: Memory,
        *,
        mode: Mode,
        password: str,
        tell: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._client = client
        self._exported = self._next_export = 0
        self._file = identity.folder / EXPORT
        self._passphrase = identity.kept.key
        self._own = OwnIdentity(client.user_id, identity.kept.seeds)
        self._memory = memory
        self._mode = mode
        self._password = password
        self._tell = tell
        self._claims: dict[str, Claims] = {}
        self._untold: set[str] = set()
        self._rooms: dict[str, asyncio.Lock] = {}
        self.fault = ""
        """What is wrong with the bot's own identity, for `timmy doctor`; empty if nothing is."""

    # The bot's own keys ------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Put the device's keys on the server, and the identity that signs it. Raises `StoreLost`, and what the wire raises."""
        client, olm = self._client, self._olm
        answer = await self._query([client.user_id])
        known = answer.get("device_keys", {}).get(client.user_id, {}).get(client.device_id)
        if known is None:
            olm.account.shared = False  # it was signed out: its keys went with it, and are put there again
        elif known.get("keys", {}).get(f"curve25519:{client.device_id}") != olm.account.identity_keys["curve25519"]:
            raise StoreLost(device=client.device_id)
        if client.should_upload_keys:
            self._good("its device's keys", await client.keys_upload())
        if self._file.exists() and not self._sessions():
            await self._restore()
        self._exported = self._sessions()
        await self._sign(await self._query([client.user_id]))

    async def _sign(self, answer: Json) -> None:
        """Upload the identity unless there is one, sign the device with it, and see that the server took both."""
        client, user = self._client, self._client.user_id
        device_id = client.device_id or ""
        found = claims(answer, user)
        if found.identity not in {"", self._own.master.public}:
            self.fault = (
                "the account has cross-signing keys from another client, so the bot cannot sign its own device; use an account"
                " of the bot's own, or reset its cross-signing there"
            )
            log.warning("Matrix: %s", self.fault)
            return
        key = self._olm.account.identity_keys["ed25519"]
        if not found.identity:
            await self._upload(self._own.upload(device_id, self._olm.sign_json(self._own.master_object())))
        if key not in found.vouched:
            device = (answer if found.identity else await self._query([user]))["device_keys"][user][device_id]
            signed = self._own.self_signing.sign(device, user)
            signed.pop("unsigned", None)
            status, said = await self._ask("POST", "/keys/signatures/upload", {user: {device_id: signed}})
            log.debug("the device is signed: %s %s", status, said.get("failures"))
            found = claims(await self._query([user]), user)
        self.fault = "" if key in found.vouched else "the server did not take the signature of the bot's device"
        if self.fault:
            log.warning("Matrix: %s", self.fault)

    async def _upload(self, body: Json) -> None:
        """Upload the identity, with the password where the server asks for it."""
        status, said = await self._ask("POST", "/keys/device_signing/upload", body)
        if status == _UNAUTHORIZED and "session" in said and self._password:
            auth = {
                "type": "m.login.password", "session": said["session"], "password": self._password,
                "identifier": {"type": "m.id.user", "user": self._client.user_id},
            }  # fmt: skip
            status, said = await self._ask("POST", "/keys/device_signing/upload", {**body, "auth": auth})
        if status != _OK:
            log.warning("Matrix does not take the bot's identity: %s %s", status, said.get("error"))

    async def tend(self) -> None:
        """What is due between two syncs: one-time keys, other people's devices, lost sessions. What fails is due again.

        Raises what keeps the store from being written: whoever begins anew knows what is kept.
        """
        client = self._client
        try:
            if client.should_upload_keys:
                self._good("one-time keys", await client.keys_upload())
            if due := self._untold | client.users_for_key_query:
                self._untold = set()
                await self._query(sorted(due))
            if client.should_claim_keys:
                self._good("a key claim", await client.keys_claim(client.get_users_for_key_claiming()))
            if client.outgoing_to_device_messages:
                await client.send_to_device_messages()
            if self._sessions() != self._exported and self._memory.clock.now() >= self._next_export:
                await self._export()
        except (ClientError, TimeoutError, Refusal) as error:
            log.info("Matrix's keys are tended later: %s", str(error) or type(error).__name__)
        except Exception as error:
            if is_unkept(error):
                raise
            log.exception("Matrix's keys could not be tended; it is tried again")

    def _sessions(self) -> int:
        return sum(1 for _ in self._olm.inbound_group_store)

    async def _export(self) -> None:
        """Keep the rooms' keys beside the store: without it they open what was said before."""
        count, passing = self._sessions(), self._file.with_suffix(".new")
        try:
            passing.unlink(missing_ok=True)  # the library overwrites nothing, and lets nobody else read what it writes
            await self._client.export_keys(str(passing), self._passphrase, ROUNDS)
            passing.replace(self._file)
        except OSError as error:
            log.warning("the rooms' keys cannot be exported: %s", error)
        self._exported, self._next_export = count, self._memory.clock.now() + EXPORT_MS

    async def _restore(self) -> None:
        """Read what was kept of the rooms' keys; what cannot be read is left where it is."""
        try:
            await self._client.import_keys(str(self._file), self._passphrase)
        except (OSError, EncryptionError) as error:
            log.warning("the rooms' keys in %s cannot be read: %s", self._file, error)
        else:
            log.info("%s keys of rooms were restored", self._sessions())

    # In ----------------------------------------------------------------------------------------------------------

    async def latch(self, rooms: Iterable[str]) -> None:
        """Rooms are encrypted from now on, whatever the server says later."""
        for room in rooms:
            await self._memory.latch(room)

    def is_sealed(self, room: str) -> bool:
        """Whether a room is encrypted, or was so once."""
        known = self._client.rooms.get(room)
        return room in self._memory.latched or (known is not None and known.encrypted)

    def opened(self, room: str, event: MegolmEvent) -> Event | None:
        """The event in it; None while its key is missing."""
        event.room_id = room
        try:
            found: Event = self._client.decrypt_event(event)
        except EncryptionError as error:
            log.debug("%s cannot be read yet: %s", event.event_id, error)
            return None
        return found

    async def is_replay(self, event: Event) -> bool:
        """Whether what an event was opened from came before, under another event's name: a server can send it again, later."""
        place = self._olm.place(event.event_id)
        if place is None:
            return False
        first = await self._memory.first(event.session_id, place, event.event_id)
        return bool(first != event.event_id)

    async def doubt(self, room: str, event: Event) -> str:
        """Why an event may not be its sender's, in words for them; empty if there is no reason.

        Raises `Refusal` where the device that encrypted it is nobody's, or somebody else's than it says.
        """
        if not event.decrypted:
            return PLAIN if self._mode == "verified" or self.is_sealed(room) else ""
        user = event.sender
        if user not in self._claims or user in self._client.users_for_key_query:
            await self._query([user])
        device = self._device(room, event)
        if device is None:
            await self._query([user])
            device = self._device(room, event)
        if device is None:
            raise Forged(what=event.event_id, why=f"{event.sender_key} is no device of {user}")
        if (said := self._claims.get(user)) is None:
            raise Refusal(what="a key query", why=f"the server of {user} does not answer")
        pin = self._memory.pins.get(user)
        if pin is None or pin != grown(pin, said):
            pin = met(said) if pin is None else grown(pin, said)
            await self._memory.pin(user, pin)
        why = doubt(self._mode, pin, said, device.ed25519)
        if why == CHANGED:
            await self._tell(
                f"matrix/identity/{user}/{said.identity}",
                f"{user} has another Matrix identity than the one that I know. Until you verify them, I take nothing from them that"
                " spends, approves or lets people in.",
            )
        return why

    def _device(self, room: str, event: Event) -> OlmDevice | None:
        """The sender's device whose session encrypted an event; what the event says of it counts for nothing."""
        session = self._olm.inbound_group_store.get(room, event.sender_key, event.session_id)
        devices = self._client.device_store[event.sender].values()
        return next(
            (
                device
                for device in devices
                if session and device.curve25519 == event.sender_key and device.ed25519 == session.ed25519
            ),
            None,
        )

    async def keys(self, user: str) -> dict[str, str]:
        """Somebody's Ed25519 keys by their names, as the server says: the devices', and the master's, which is named by itself."""
        answer = await self._query([user])
        found = {
            f"ed25519:{name}": str(device["keys"][f"ed25519:{name}"])
            for name, device in answer.get("device_keys", {}).get(user, {}).items()
            if self._olm.is_whole(user, name, device)
        }
        identity = self._claims[user].identity if user in self._claims else ""
        return found | ({f"ed25519:{identity}": identity} if identity else {})

    @property
    def _olm(self) -> GuardedOlm:
        return cast("GuardedOlm", self._client.olm)

    async def verified(self, user: str, master: str) -> None:
        """Somebody's identity was compared: it is theirs from now on, and our own vouches for it, so that others may know."""
        await self._memory.pin(user, Pin(master, verified=self._memory.clock.now()))
        answer = await self._query([user])
        theirs = answer.get("master_keys", {}).get(user)
        if theirs is not None and not self.fault and self._claims[user].identity == master:
            signed = {**self._own.user_signing.sign({**theirs, "signatures": {}}, self._client.user_id)}
            signed.pop("unsigned", None)
            await self._ask("POST", "/keys/signatures/upload", {user: {master: signed}})

    def who(self) -> Own:
        """The bot, as a verification names it."""
        keys = self._olm.account.identity_keys
        return Own(self._client.user_id, self._client.device_id or "", keys["ed25519"], self._own.master.public)

    # Out ---------------------------------------------------------------------------------------------------------

    async def share(self, room: str) -> None:
        """See that everybody in a room has the key of what is sent next. Raises `Refusal` and what the wire raises.

        matrix-nio takes a key for shared that it could not send, and the server's error for the end of its own session; where the
        wire broke, it leaves a lock behind.
        """
        client, olm = self._client, self._olm
        async with self._rooms.setdefault(room, asyncio.Lock()):
            if not client.rooms[room].members_synced:
                self._good("the room's members", await client.joined_members(room))
            if client.users_for_key_query:
                await self._query(sorted(client.users_for_key_query))
            if not olm.should_share_group_session(room):
                return
            token = client.access_token
            try:
                answer = await client.share_group_session(room, ignore_unverified_devices=True)
                self._good("the room's key", answer)
                self._all_have_it(room, answer.users_shared_with)
            except BaseException:
                client.access_token = token
                olm.outbound_group_sessions.pop(room, None)
                if (stuck := client.sharing_session.pop(room, None)) is not None:
                    stuck.set()
                raise

    def _all_have_it(self, room: str, shared_with: set[tuple[str, str]]) -> None:
        """Raise `Refusal` unless its key went to every device in a room but the bot's own, and those that left no one-time key."""
        client, olm = self._client, self._olm
        due = {
            (user, device.id)
            for user in client.rooms[room].users
            for device in client.device_store.active_user_devices(user)
            if device.id != client.device_id
            and not olm.is_device_blacklisted(device)
            and olm.session_store.get(device.curve25519) is not None
        }
        if missing := due - shared_with:
            raise Refusal(what="the room's key", why=f"{len(missing)} devices did not get it")

    # The wire ----------------------------------------------------------------------------------------------------

    async def _query(self, users: list[str]) -> Json:
        """Ask whose keys are whose; matrix-nio learns the devices, and we the identities."""
        status, answer = await self._ask("POST", "/keys/query", {"device_keys": {user: [] for user in users}})
        if status != _OK:
            raise Refusal(what="a key query", why=str(answer.get("error") or status))
        for kind in ("device_keys", "master_keys", "self_signing_keys"):
            if not isinstance(answer.get(kind), dict):
                answer[kind] = {}
        failed = answer.get("failures") or {}
        told = [
            user
            for user in users
            if isinstance(answer["device_keys"].get(user), dict) and user.partition(":")[2] not in failed
        ]
        devices = {
            user: {
                name: device
                for name, device in answer["device_keys"][user].items()
                if self._olm.is_whole(user, name, device)
            }
            for user in told
        }
        await self._client.receive_response(KeysQueryResponse(devices, {}))
        self._claims.update({user: claims(answer, user) for user in told})
        # Of the others nothing was said: what was known of them stands, and they are asked for again.
        self._client.users_for_key_query.difference_update(users)
        self._untold.update(set(users) - set(told))
        return answer

    async def _ask(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {self._client.access_token}", "Content-Type": "application/json"}
        answer = await self._client.send(method, f"{_API}{path}", json.dumps(body), headers)
        try:
            said = await answer.json()
        except (ValueError, ClientError):
            said = {}
        return answer.status, said if isinstance(said, dict) else {}

    @staticmethod
    def _good(what: str, answer: Response) -> None:
        if isinstance(answer, ErrorResponse):
            raise Refusal(what=what, why=f"{answer.status_code or ''} {answer.message or ''}".strip())
