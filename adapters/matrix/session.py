"""Signing in: a client whose keys are on the server, under the device that the data folder names; or why there is none."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiohttp import ClientError
from nio import AsyncClientConfig, ErrorResponse

from adapters.matrix.calls import quietly, why
from adapters.matrix.encryption import Encryption, Refusal, StoreLost
from adapters.matrix.guard import Client, Store
from core.errors import Unavailable, cause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nio import AsyncClient, Response

    from adapters.matrix.buttons import Buttons
    from adapters.matrix.identity import IdentityFile
    from adapters.matrix.memory import Memory
    from adapters.matrix.receipts import Receipts
    from adapters.matrix.rooms import Rooms
    from adapters.matrix.trust import Mode
    from core.ports import Clock, Spawner

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
STORE = "keys.db"
_DENIED = frozenset({"M_FORBIDDEN", "M_UNKNOWN_TOKEN", "M_USER_DEACTIVATED", "M_MISSING_TOKEN"})


class SignInRefused(Unavailable):
    """{server} refuses the bot's {what} ({why}). Set TIMMY_MATRIX_USER and {setting} right, and start again."""


class NoHomeserver(Unavailable):
    """The Matrix server {server} cannot be reached ({why}). It is tried again; what you send there arrives once it is back."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Matrix, the rooms that are listed, whose invitations are taken, and what is encrypted and believed."""

    homeserver: str
    user: str
    password: str
    access_token: str
    device: str
    rooms: frozenset[str]
    inviters: frozenset[str]
    encryption: Literal["off", "optional", "required"]
    trust: Mode


@dataclass(frozen=True, slots=True)
class Told:
    """Whom the surface tells: `back`, that messages can be sent (again); `once` (key, words), the owner, once for each key.

    `ask` (what was shown, words, user) has the owner say whether somebody sees it; `MatrixSurface.confirm` is told. `known` says
    whether a user was let in.
    """

    back: Callable[[], Awaitable[None]]
    once: Callable[[str, str], Awaitable[None]]
    ask: Callable[[str, str, str], Awaitable[None]]
    known: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Parts:
    """What hearing and sending share, for as long as the hub runs."""

    access: Access
    memory: Memory
    rooms: Rooms
    buttons: Buttons
    receipts: Receipts
    clock: Clock
    spawner: Spawner


@dataclass(frozen=True, slots=True)
class Session:
    """A client that is signed in, and its keys (None: encryption is off)."""

    client: AsyncClient
    encryption: Encryption | None


async def signed_in(access: Access, identity: IdentityFile, memory: Memory, told: Told) -> Session:
    """Sign in. One whose keys are lost comes back as a new device. Raises `SignInRefused`, `NoHomeserver`, `StoreLost`."""
    device = identity.kept.device or access.device
    while True:
        client = _made(access, identity, device)
        try:
            await _sign_in(client, access)
            encryption = None
            if access.encryption != "off":
                encryption = Encryption(
                    client, identity, memory, mode=access.trust, password=access.password, tell=told.once
                )
                await encryption.begin()
        except StoreLost as lost:
            if access.access_token:
                await client.close()
                raise
            log.warning(
                "the keys of the Matrix device %s are lost; the bot comes back as a new device", lost.facts["device"]
            )
            await quietly(client.logout())
            await client.close()
            device = identity.move(access.device)
        except (ClientError, TimeoutError, Refusal) as error:
            await client.close()
            raise NoHomeserver(server=access.homeserver, why=cause(error)) from None
        except BaseException:
            await client.close()
            raise
        else:
            return Session(client, encryption)


def _made(access: Access, identity: IdentityFile, device: str) -> AsyncClient:
    """A client that does nothing by itself: a limit, a silence and a retry are the hub's to deal with."""
    (identity.folder / STORE).touch(mode=0o600)
    config = AsyncClientConfig(
        encryption_enabled=access.encryption != "off", pickle_key=identity.kept.key, store=Store, store_name=STORE,
        max_limit_exceeded=0, max_timeouts=0, request_timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    return Client(access.homeserver, access.user, device, store_path=str(identity.folder), config=config)


async def _sign_in(client: AsyncClient, access: Access) -> None:
    server = access.homeserver
    try:
        if access.access_token:
            client.user_id, client.access_token = access.user, access.access_token
            answer: Response = await client.whoami()
        else:
            answer = await client.login(access.password, device_name="Timmy")
    except (ClientError, TimeoutError) as error:
        raise NoHomeserver(server=server, why=cause(error)) from None
    if not isinstance(answer, ErrorResponse):
        if access.access_token:
            client.restore_login(answer.user_id, answer.device_id or client.device_id, access.access_token)
        return
    if answer.status_code in _DENIED:
        what = "access token" if access.access_token else "password"
        setting = f"TIMMY_MATRIX_{what.replace(' ', '_').upper()}"
        raise SignInRefused(server=server, what=what, why=why(answer), setting=setting)
    raise NoHomeserver(server=server, why=why(answer) if answer.status_code else "what answers there is no homeserver")
