"""Letting people in: a stranger gets a code, somebody with the right names it, and the stranger has a role from then on.

A code proves that the message and the person at the owner's side belong together; it is shown once to the stranger,
stored hashed, and dies with use or after an hour (CONTRACT, "Who").
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from core.access import Action, authorize
from core.chat import Reply, Role
from core.errors import Refused, UserError
from core.events import Event, Kind
from core.messages import MessageTx
from core.tokens import CONSOLE_OWNER, TokenTx, check_actor, device_ended, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.chat import Caller, Outgoing
    from core.ports import IdSource
    from core.store import Store
    from core.tokens import Identities

HOUR_MS = 3_600_000
MAX_PENDING = 3
MAX_FAILURES = 5
LENGTH = 8
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""32 signs that cannot be taken for one another: 40 bits a code."""


class TooManyCodes(UserError):
    """You have asked for {count} codes already. Give one of them to the hub's owner, or come back in an hour."""

    status = 429


class WrongCode(UserError):
    """There is no such pairing code, or its hour is over. Whoever wants in writes to the hub again and gets a new one."""

    status = 404


class LockedOut(UserError):
    """{count} wrong codes in an hour are too many. Try again later."""

    status = 429


class NotPaired(UserError):
    """{actor} has no role on this hub."""

    status = 404


class UnknownName(UserError):
    """Nobody here goes by the name {given}. Write their actor id, such as telegram:12345; they see it with /whoami."""

    status = 404


class SharedName(UserError):
    """{count} people go by the name {given}. Write an actor id: {actors}."""

    status = 409


class WalletOfTheirOwn(UserError):
    """{actor} has {what} here from before, and owners share one wallet. Let them in as a member; then they join with /link."""

    status = 409


class OwnerBySetting(Refused):
    """{actor} owns this hub by TIMMY_OWNER. Take it out of there and restart."""


class OwnerByFolder(Refused):
    """{actor} is whoever owns the hub's data folder, and always the owner. No role can be taken away from it."""


class Pending(NamedTuple):
    """A code that somebody was given: who they are, how they are called, where they can be told, until when (Unix ms)."""

    actor: str
    name: str
    home: str
    expires: int


class PairingStore(Protocol):
    """Codes, and wrong tries, inside one unit of work."""

    def add(self, digest: str, pending: Pending) -> None:
        """Keep a code by its hash."""

    def pending(self, actor: str, now: int) -> int:
        """How many codes of an identity are still good."""

    def take(self, digest: str, now: int) -> Pending | None:
        """Use a code up, and every other of the same identity; None where it is not good."""

    def fail(self, actor: str, kind: str, now: int) -> None:
        """Note a wrong code that an identity tried; `kind` is what it was for (`pair`, `link`)."""

    def failures(self, actor: str, kind: str, since: int) -> int:
        """How many of that kind it tried since then."""


class PairingTx(TokenTx, MessageTx, Protocol):
    """A unit of work over codes, roles and the message that tells."""

    @property
    def pairing(self) -> PairingStore:
        """Codes."""


def new_code(ids: IdSource) -> str:
    """A code that nobody can guess."""
    raw = ids.token(LENGTH)
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))


def code_digest(code: str) -> str:
    """What is stored of a code, however it was typed."""
    return digest_of(code.strip().upper().replace("-", ""))


def _welcome(role: Role) -> Reply:
    """The first words to somebody who was let in. Owners share a wallet; everybody else begins with none."""
    first = "Try: /task summarise welcome.md"
    if role is not Role.OWNER:
        first = "Talk to me in plain words. Your wallet is empty: bid on tasks to earn sats, then post your own (/help task)."
    return Reply(f"You are in, as {role}. {first}\n/help lists what I can do.")


class Pairing:
    """Gives codes out and takes them. `send` hands on what was written for a newcomer.

    `has` says what an identity would leave behind, inside the unit of work that makes it an owner: owners have one wallet.
    """

    def __init__(
        self, store: Store[PairingTx], ids: IdSource, identities: Identities, send: Callable[[Outgoing], None],
        *, has: Callable[[Any, str], str],
    ) -> None:  # fmt: skip
        self._store = store
        self._ids = ids
        self._identities = identities
        self._send = send
        self._has = has

    async def code(self, actor: str, name: str, home: str) -> str:
        """A new code for somebody who has no role. Raises `TooManyCodes`, and `BadActor` for whom no command could name."""
        check_actor(actor)
        code = new_code(self._ids)

        def work(tx: PairingTx) -> None:
            if (count := tx.pairing.pending(actor, tx.now)) >= MAX_PENDING:
                raise TooManyCodes(count=count)
            tx.pairing.add(digest_of(code), Pending(actor, name, home, tx.now + HOUR_MS))

        await self._store.write(work)
        return code

    async def pair(self, caller: Caller, code: str, role: Role, *, key: str) -> tuple[str, str]:
        """Let in whoever was given this code; returns their actor id and name.

        Raises `WrongCode`, `LockedOut`, and `WalletOfTheirOwn` for who would be an owner.
        """
        authorize(caller, Action.PAIR)
        digest = code_digest(code)

        def work(tx: PairingTx) -> tuple[Pending | None, Outgoing | None]:
            if (count := tx.pairing.failures(caller.actor, "pair", tx.now - HOUR_MS)) >= MAX_FAILURES:
                raise LockedOut(count=count)
            found = tx.pairing.take(digest, tx.now)
            if found is None:
                if (done := tx.applied(key)) is not None:  # this very message let them in, before a restart
                    actor, _, name = done.partition(" ")
                    return Pending(actor, name, "", 0), None
                tx.pairing.fail(caller.actor, "pair", tx.now)
                return None, None
            self._identities.as_now(tx, caller)
            check_actor(found.actor)
            if role is Role.OWNER and (what := self._has(tx, found.actor)):
                raise WalletOfTheirOwn(actor=found.actor, what=what)
            tx.mark(key, f"{found.actor} {found.name}")
            tx.tokens.give(found.actor, role, found.name, tx.now)
            tx.emit(Event(Kind.ACTOR_PAIRED, data={"actor": found.actor, "role": role.value, "by": caller.recorded}))
            return found, tx.messages.queue(found.home.partition(":")[0], found.home, _welcome(role), None, tx.now)

        found, welcome = await self._store.write(work)
        if found is None:
            raise WrongCode
        await self._identities.refresh()
        if welcome is not None:
            self._send(welcome)
        return found.actor, found.name

    async def unpair(self, caller: Caller, given: str, *, key: str) -> list[str]:
        """Take somebody's role and link away, at once and everywhere, and those of whoever is linked to them; their devices end.

        Returns the actor ids of all of them, the devices' last.

        Raises `NotPaired`, `OwnerBySetting`, `OwnerByFolder`, or that it is nobody's name.
        """
        authorize(caller, Action.PAIR)

        def work(tx: PairingTx) -> list[str]:
            if (done := tx.applied(key)) is not None:  # this very message sent them away, before a restart
                return done.split()
            self._identities.as_now(tx, caller)
            actor = self.find(given)
            if actor == CONSOLE_OWNER:
                raise OwnerByFolder(actor=actor)
            if self._identities.owns(actor):
                raise OwnerBySetting(actor=actor)
            gone = tx.tokens.take_away(actor, tx.now)
            if not gone:
                raise NotPaired(actor=actor)
            devices = tx.tokens.end_devices(gone, tx.now)
            tx.mark(key, " ".join([*gone, *devices]))
            for one in gone:
                tx.emit(Event(Kind.ACTOR_UNPAIRED, data={"actor": one, "by": caller.recorded}))
            for device in devices:
                tx.emit(device_ended(device, caller.recorded))
            return [*gone, *devices]

        gone = await self._store.write(work)
        await self._identities.refresh()
        return gone

    def find(self, given: str) -> str:
        """An actor by id, or by the name they go by where it is one identity's only. Raises `BadActor` and this module's errors."""
        known = {one.actor: one.name for one in self._identities.people}
        known |= {one.actor: one.name for one in self._identities.links}
        if ":" in given:
            return given if given in known else check_actor(given)
        named = [actor for actor, name in known.items() if name.casefold() == given.casefold()]
        if not named:
            raise UnknownName(given=repr(given[:60]))
        if len(named) > 1:
            raise SharedName(count=len(named), given=repr(given[:60]), actors=" or ".join(named[:3]))
        return named[0]
