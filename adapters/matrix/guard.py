"""matrix-nio's Olm machine, behind a guard: what one stranger sends costs that thing alone, never the sync that carried it.

The library raises whatever its parsers raise (assertions, key errors, the ratchet's own), and takes encrypted state for a
room's state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from aiohttp import ClientConnectionError
from nio import Api, AsyncClient, DownloadError, EncryptionError, KeysClaimResponse
from nio.crypto import Olm
from nio.store import SqliteStore

from core.errors import Unavailable

if TYPE_CHECKING:
    from nio import ErrorResponse, Event, MegolmEvent

log = logging.getLogger(__name__)

_SAID = frozenset({"m.room.message", "m.sticker", "m.reaction"})
_MANY = 100_000
FILE_SECONDS = 300.0
"""How long a file may take to come."""

BUSY_SECONDS = 0.2
"""How long the store is waited for if another program holds it: the library would stop the whole hub for five."""


class KeysUnreadable(Unavailable):
    """The bot's Matrix keys in {path} cannot be read ({why}). End what else uses them, or restore them; it is tried again."""


def is_unkept(error: Exception) -> bool:
    """Whether the library's store could not be written for now, whatever was to be: memory knows what it does not, from then on."""
    found = error.__context__
    code = getattr(found, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return isinstance(found, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR


class Store(SqliteStore):  # type: ignore[misc]
    """The library's store, bound to its one database once: to bind ten tables anew at each call takes most of its time.

    And it knows its account's row, which every call asks for: there is one, nothing removes it, and it is wanted for its name.
    """

    _account: Any = None

    def _create_database(self) -> Any:
        database = super()._create_database()
        database.bind(self.models)
        database.bind_ctx = lambda _: contextlib.nullcontext()
        database.timeout = BUSY_SECONDS
        return database

    def _get_account(self) -> Any:
        self._account = self._account or super()._get_account()
        return self._account

    def load_account(self) -> Any:
        """See the library: the one who reads the row and not its name alone."""
        self._account = None
        return super().load_account()


class Client(AsyncClient):  # type: ignore[misc]
    """A client whose machine is guarded, and that stays closed: the library opens connections anew, which nobody closes."""

    closed = False

    async def close(self) -> None:
        """See the library."""
        self.closed = True
        await super().close()

    async def send(self, *args: Any, **more: Any) -> Any:
        """See the library."""
        if self.closed:
            raise ClientConnectionError("the client is closed")
        return await super().send(*args, **more)

    async def file(self, url: str, most: int) -> bytes | ErrorResponse:
        """A file of the media repository, of which no more is read than one byte too many: its sender may lie of its size."""
        parts = urlsplit(url)
        method, path = Api.download(parts.netloc, parts.path.replace("/", ""))
        headers = {"Authorization": f"Bearer {self.access_token}"}
        async with await self.send(method, path.partition("?")[0], headers=headers, timeout=FILE_SECONDS) as answer:
            if answer.status != HTTPStatus.OK:
                refused = DownloadError.from_dict(await self.parse_body(answer))
                refused.transport_response = answer
                return refused
            try:
                found: bytes = await answer.content.readexactly(most + 1)
            except asyncio.IncompleteReadError as whole:
                found = whole.partial
            return found

    def load_store(self) -> None:
        """See the library: it makes the machine, here of our class. Raises `KeysUnreadable`."""
        try:
            super().load_store()
        except Exception as error:
            if not isinstance(error.__context__, sqlite3.Error):
                raise
            path = f"{self.store_path}/{self.config.store_name}"
            raise KeysUnreadable(path=path, why=error.__context__) from None
        if self.olm is not None:
            self.olm.__class__ = GuardedOlm

    async def parse_body(self, transport_response: Any) -> dict[Any, Any]:
        """See the library, which breaks off at an event without a time, and at all that came with it."""
        found = await super().parse_body(transport_response)
        return _without_broken(found) if isinstance(found, dict) else {}


def _without_broken(answer: dict[Any, Any]) -> dict[Any, Any]:
    """A server's answer without what is no event, though it stands among a room's."""
    if "origin_server_ts" in answer and not _has_time(answer):
        return {}
    rooms = answer.get("rooms")
    joined = rooms.get("join") if isinstance(rooms, dict) else None
    holders = [(answer, "chunk")]
    for room in joined.values() if isinstance(joined, dict) else ():
        holders += [(room[part], "events") for part in ("state", "timeline") if isinstance(room.get(part), dict)]
    for holder, name in holders:
        if isinstance(events := holder.get(name), list):
            holder[name] = [event for event in events if _has_time(event)]
    return answer


def _has_time(event: Any) -> bool:
    """Whether the library can take an event, as far as its time goes; one that says none is taken for broken by itself."""
    return isinstance(event, dict) and isinstance(event.get("origin_server_ts", 0), int)


class GuardedOlm(Olm):  # type: ignore[misc]
    """See the module. `place` remembers which message of its session an event was, for whoever keeps that over a restart."""

    def handle_to_device_event(self, event: Any) -> Any:
        """See the library; what cannot be read is as if it had not come.

        What came of it is kept whole or not at all. It opens once: a hub that is killed with the ratchet kept, but not the room's
        key in it, would be sent it again and could not read it. Raises what keeps the store from being written.
        """
        with self.store.database.atomic():
            try:
                return super().handle_to_device_event(event)
            except Exception as error:
                if is_unkept(error):
                    raise
                log.warning("a message from device to device cannot be read: %s", type(error).__name__)
                return None

    def decrypt_megolm_event(self, event: MegolmEvent, room_id: str | None = None) -> Event:
        """See the library. Raises `EncryptionError` only; encrypted state is none: nobody but the server sets a room's state."""
        try:
            found = cast("Event", super().decrypt_megolm_event(event, room_id))
            kind = str(found.source.get("type"))
            is_state = "state_key" in found.source or not (kind in _SAID or kind.startswith("m.key.verification."))
        except EncryptionError:
            raise
        except Exception as error:
            raise EncryptionError(f"it cannot be read: {type(error).__name__}") from error
        if is_state:
            raise EncryptionError(f"it is no message, but {kind}")
        return found

    def message_index_ok(self, message_index: int, event: MegolmEvent) -> bool:
        """See the library; the place is kept for the event."""
        places: dict[str, int] = self.__dict__.setdefault("places", {})
        if len(places) >= _MANY:
            places.clear()
        places[event.event_id] = message_index
        return bool(super().message_index_ok(message_index, event))

    def place(self, event_id: str) -> int | None:
        """Which message of its session an event was."""
        found: int | None = self.__dict__.get("places", {}).get(event_id)
        return found

    def _handle_key_claiming(self, response: KeysClaimResponse) -> None:
        """Device by device: a key that is none costs its own device the message, and nobody else."""
        for user, devices in response.one_time_keys.items():
            for device, key in devices.items():
                try:
                    super()._handle_key_claiming(KeysClaimResponse({user: {device: key}}, {}))
                except Exception as error:  # noqa: BLE001 - as above
                    log.warning("a one-time key of %s %s is none: %s", user, device, type(error).__name__)

    def is_whole(self, user: str, name: str, device: Any) -> bool:
        """Whether the server's object of a device is one, signed by itself."""
        try:
            keys, unsigned = device["keys"], device.get("unsigned", {})
            if (device["user_id"], device["device_id"]) != (user, name) or not isinstance(unsigned, dict):
                return False
            return bool(self.verify_json(device, keys[f"ed25519:{name}"], user, name) and keys[f"curve25519:{name}"])
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("the device %s of %s cannot be read: %s", name, user, type(error).__name__)
            return False
