"""Credentials and roles: who an actor is to this hub, and the tokens that open its HTTP routes.

A token is 32 random bytes, shown once and stored as its SHA-256 (it is no password: there is nothing to guess, so a
slow hash would buy nothing). It is found by that hash, so comparing leaks no timing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize, judge
from core.chat import VIA, Caller, Proxy, Role, one_line
from core.errors import UserError
from core.events import Event, Kind
from core.store import Tx

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from core.ports import IdSource
    from core.store import Store

CONSOLE_OWNER = "console:owner"
_ACTOR = re.compile(r"telegram:[1-9][0-9]{0,18}|matrix:@\S{1,253}:\S{1,253}|(?!telegram:|matrix:)[a-z]+:\S{1,200}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HUB_WORDS = frozenset({
    "hub", "treasury", "escrow", "external", "node", "fees", "income", "suspense", "owner", "user", "agent", "peer",
})  # fmt: skip
"""What the books and the events call the hub's own; a worker of such a name would pass for it."""
SHORTCUTS = "shortcuts:"
"""How the actor of a shortcut token begins; its name follows."""
MCP = "mcp:"
"""How the actor of a token of `timmy mcp` begins; its name follows."""
STRANGER = "l402:"
"""How the actor and the conversation of a stranger begin who paid for what they ask; a short name of their token follows."""
_PERSONS = re.compile(r"(telegram:[1-9][0-9]*|matrix:@[^:]+:[^/]+)(?:/.*)?", re.DOTALL)
_UNREACHED = frozenset({"worker", "peer", "schedule", "shortcuts", "mcp", "l402", "apprise"})


def home_of(actor: str) -> str | None:
    """The conversation in which the hub reaches a person by itself; of `console:owner as telegram:5`, the owner's.

    Of `telegram:5 via schedule:1` it is the person's.

    None for those that it has no way to: agents, workers, peers, schedules, shortcuts, strangers who paid (l402), channels.
    """
    person = actor.partition(VIA)[0].partition(" as ")[0]
    surface, colon, _ = person.partition(":")
    return person if colon and surface not in _UNREACHED else None


def person_of(conversation: str) -> str | None:
    """Whose home a conversation is, or is beneath: `matrix:@ann:example.org/$event` is Ann's.

    None for a group's, and for the console's, where nobody is but the owner of the data folder.
    """
    found = _PERSONS.fullmatch(conversation)
    return found[1] if found else None


class TokenKind(StrEnum):
    """What a token opens (CONTRACT, "Who")."""

    OWNER = "owner"
    READ = "read"
    WORKER = "worker"
    SHORTCUT = "shortcut"
    MCP = "mcp"


class BadToken(UserError):
    """This token opens nothing: it is wrong, or was revoked. timmy token list shows the live ones."""

    status = 401


class BadTokenKind(UserError):
    """There is no token kind {given}. Kinds: owner, read, worker, shortcut, mcp."""


class BadTokenName(UserError):
    """{given} cannot name a token: use letters, digits, dot, dash and underscore, at most 64."""


class NameReserved(UserError):
    """{given} is a name of this hub's own (its agents, or a word of its books). Give the worker another name."""

    status = 409


class TokenExists(UserError):
    """There is a {kind} token named {name} already. Revoke it first: timmy token revoke {kind} {name}"""

    status = 409


class NoSuchToken(UserError):
    """There is no {kind} token named {name}. /tokens, or timmy token list, shows kind and name of each."""

    status = 404


class BadActor(UserError):
    """{given} is not an actor. Actors look like console:owner, telegram:12345 or matrix:@ann:example.org."""


class NeedsActor(UserError):
    """A {kind} token acts for an account: add --for ACTOR, such as --for console:owner."""


class NoPerson(UserError):
    """{given} is no person whom the hub can ask. Give --for somebody's identity, such as console:owner or telegram:12345."""


class OptionNotForKind(UserError):
    """{option} belongs to shortcut and mcp tokens; a {kind} token takes none."""


_DEVICES = {SHORTCUTS: TokenKind.SHORTCUT, MCP: TokenKind.MCP}
"""The kinds of token that speak for a person, by how the actor of one begins."""


def device_of(actor: str) -> tuple[TokenKind, str] | None:
    """The kind and name of the token that an actor is, where it is a device of somebody's."""
    surface, _, name = actor.partition(":")
    kind = _DEVICES.get(f"{surface}:")
    return None if kind is None else (kind, name)


def device_ended(actor: str, by: str) -> Event:
    """What tells of the end of a device's token."""
    kind, name = device_of(actor) or ("", actor)
    return token_revoked(kind, name, by)


def device_actor(kind: str, name: str) -> str:
    """The actor that a device's token is."""
    return next(start for start, one in _DEVICES.items() if one == kind) + name


class NotAsYouWere(UserError):
    """You were let in or out, linked or taken off while you said that, so nothing was done. Say it again as who you are now."""

    status = 409


def token_revoked(kind: str, name: str, by: str) -> Event:
    """What tells of the end of a token: whatever it holds open ends too."""
    return Event(Kind.TOKEN_REVOKED, data={"kind": kind, "name": name, "by": by})


class TokenRow(NamedTuple):
    """A credential as it is kept: the hash, never the token. `task_limit` in whole sats, times Unix ms UTC."""

    hash: str
    kind: str
    name: str
    for_actor: str | None
    task_limit: int | None
    created_at: int

    @property
    def reach(self) -> str:
        """For whom it speaks, and what one task may cost."""
        return f"for {self.for_actor}, tasks up to {self.task_limit} sats" if self.for_actor else ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a role on this hub, and how they are called where they were let in."""

    actor: str
    role: Role
    name: str


class Linked(NamedTuple):
    """An identity that is one of the same person as `account`, and how it is called where it was linked."""

    actor: str
    account: str
    name: str


class TokenStore(Protocol):
    """Credentials, roles and links, inside one unit of work."""

    def standing(self, actor: str) -> tuple[str, Role | None]:
        """The identity that an actor is linked to (itself if to none), and the role given to that one, if any."""

    def linked_to(self, account: str) -> list[str]:
        """The identities that were linked to this one."""

    def links(self) -> list[Linked]:
        """Every identity that is linked to another, in the order in which they came."""

    def give(self, actor: str, role: Role, name: str, now: int) -> None:
        """Give an actor a role, in place of the one it had, and of a link that led nowhere any more."""

    def take_away(self, actor: str, now: int) -> list[str]:
        """Take the role and the link of an actor away, and of everybody linked to it; returns whose, none if it had neither.

        What they had remembered is forgotten with it.
        """

    def end_devices(self, actors: Collection[str], now: int) -> list[str]:
        """End every device that speaks for one of these; returns their actor ids, such as `shortcuts:phone`."""

    def people(self) -> list[Person]:
        """Everybody who was given a role."""

    def add(self, row: TokenRow) -> None:
        """Keep a credential."""

    def by_hash(self, digest: str) -> TokenRow | None:
        """The live credential with this hash."""

    def live(self) -> list[TokenRow]:
        """Every live credential."""

    def device(self, kind: str, name: str) -> TokenRow | None:
        """The live token of a device: of this kind and name."""

    def revoke(self, kind: str, name: str, now: int) -> bool:
        """End a credential; False if there was none."""


class TokenTx(Tx, Protocol):
    """A unit of work over credentials."""

    @property
    def tokens(self) -> TokenStore:
        """Credentials and roles."""


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_actor(text: str) -> str:
    """An actor id as written. Raises `BadActor` for what its surface gives to nobody, and for one that does not show as it is."""
    if not _ACTOR.fullmatch(text) or one_line(text) != text:
        raise BadActor(given=repr(text[:60]))
    return text


class Identities:
    """Roles and accounts of actors, and minting, checking and revoking of tokens.

    An identity that is linked has the account's role and no other. All owners are one account, the console's.
    """

    def __init__(
        self, store: Store[TokenTx], ids: IdSource, *, owners: Iterable[str], reserved: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._ids = ids
        self.owners = frozenset({CONSOLE_OWNER, *owners})
        """Who owns the hub by its settings, and whoever is at its console."""
        self._reserved = reserved
        self.people: tuple[Person, ...] = ()
        """Everybody who was let in, as last read."""
        self.links: tuple[Linked, ...] = ()
        """Everybody who was linked, as last read."""
        self._live: dict[str, TokenRow] = {}
        self._accounts: dict[str, str] = {}
        self._of: dict[str, frozenset[str]] = {}

    def reserves(self, name: str) -> bool:
        """Whether a name is the hub's own, and no worker's."""
        return name.lower() in _HUB_WORDS or self._reserved(name)

    async def refresh(self) -> None:
        """Read again who was let in, and who is one with whom."""
        people, links = await self._store.read(lambda tx: (tx.tokens.people(), tx.tokens.links()))
        self.people, self.links = tuple(people), tuple(links)
        self._accounts = self._sorted(people, links)
        self._of = _together(self._accounts)

    def account(self, actor: str) -> str:
        """Whose tasks and wallet an identity's are, as last read: its own, unless it is an owner's or linked."""
        return self._accounts.get(actor, actor)

    def everybody(self, account: str) -> frozenset[str]:
        """All identities of an account, as last read."""
        return self._of.get(account, frozenset({account}))

    def selves_in(self, tx: TokenTx, actor: str) -> frozenset[str]:
        """All identities of whoever this is, inside a unit of work."""
        accounts = self._sorted(tx.tokens.people(), tx.tokens.links())
        return _together(accounts).get(accounts.get(actor, actor), frozenset({actor}))

    def person_in(self, tx: TokenTx, actor: str) -> frozenset[str]:
        """The identities of one person: theirs and those linked to it, or all that the settings name as the owner's.

        An owner who was let in shares the owners' wallet, and is another person all the same: what is private is theirs alone.
        """
        root, _ = self.standing_in(tx, actor)
        roots = self.owners if root in self.owners else frozenset({root})
        linked = {one for root in sorted(roots) for one in tx.tokens.linked_to(root)}
        return roots | (linked - self.owners)

    def _sorted(self, people: Iterable[Person], links: Iterable[Linked]) -> dict[str, str]:
        """The account of each identity that is known."""
        roots = {link.actor: link.account for link in links if link.actor not in self.owners}
        owners = self.owners | {one.actor for one in people if one.role is Role.OWNER and one.actor not in roots}
        let_in = self.owners | {one.actor for one in people}
        known = [*let_in, *(one for one, root in roots.items() if root in let_in)]
        return {one: CONSOLE_OWNER if (root := roots.get(one, one)) in owners else root for one in known}

    def owns(self, actor: str) -> bool:
        """Whether an actor owns this hub by the settings. All owners act for one wallet, the console's."""
        return actor in self.owners

    def known(self, actor: str) -> bool:
        """Whether an actor has a role, as last read."""
        return actor in self._accounts

    def role_in(self, tx: TokenTx, actor: str, credential: str = "") -> Role:
        """The role of an actor, inside a unit of work: owner by the settings, else as stored of its account, else guest.

        `credential`: what the hash of a device's token began with when it asked; another of its name is not it.
        """
        return self.standing_in(tx, actor, credential)[1]

    def standing_in(self, tx: TokenTx, actor: str, credential: str = "") -> tuple[str, Role]:
        """The identity that an actor is linked to (itself if to none), and their role, inside a unit of work.

        Of a device it is its person's, as long as its token lives.
        """
        if (device := device_of(actor)) is not None:
            row = tx.tokens.device(*device)
            if row is None or not row.hash.startswith(credential):
                return actor, Role.GUEST
            return self.standing_in(tx, row.for_actor or "")
        if actor in self.owners:
            return actor, Role.OWNER
        root, role = tx.tokens.standing(actor)
        return root, Role.OWNER if root in self.owners else role or Role.GUEST

    async def standing(self, actor: str) -> tuple[str, Role]:
        """The same, read now."""
        if actor in self.owners and device_of(actor) is None:
            return actor, Role.OWNER
        return await self._store.read(lambda tx: self.standing_in(tx, actor))

    async def caller(self, actor: str, *, private: bool, acting_for: str | None = None, credential: str = "") -> Caller:
        """Who asks. `credential`: what the hash of a device's token began with when it asked.

        Under `--as` an identity has its own role, and never more than an operator's; one the hub does not know is tried
        out as a member, since only the owner can reach the socket that takes `--as`.
        """
        if device_of(actor) is not None:
            return await self._store.read(lambda tx: self._device(tx, actor, credential))
        who = actor if acting_for is None else check_actor(acting_for)
        found = _called(Caller(actor, Role.GUEST, private, acting_for), *await self.standing(who))
        return found._replace(linked=self._of.get(found.name, frozenset()))

    def as_now(self, tx: TokenTx, caller: Caller) -> Caller:
        """Who asked, as they stand in the unit of work that decides; its identities are those of now.

        Whoever writes on somebody's word asks this first: between the word and the write they may have been let in or out,
        linked, taken off, or had their device's token revoked. Raises `NotAsYouWere` where account or role are others now.
        """
        if device_of(caller.actor) is not None:
            now = self._device(tx, caller.actor, caller.proxy.credential if caller.proxy else "")
        else:
            now = _called(caller, *self.standing_in(tx, caller.acting_for or caller.actor))
        if (now.role, now.name, now.payer) != (caller.role, caller.name, caller.payer):
            raise NotAsYouWere
        return caller._replace(linked=self._linked(tx, now))

    def _linked(self, tx: TokenTx, now: Caller) -> frozenset[str]:
        """The identities of somebody's account. Of most it is asked often, and told without looking at everybody."""
        if now.role in {Role.OWNER, Role.GUEST}:
            return _together(self._sorted(tx.tokens.people(), tx.tokens.links())).get(now.name, frozenset())
        return frozenset({now.name, *(one for one in tx.tokens.linked_to(now.name) if one not in self.owners)})

    async def still(self, caller: Caller) -> None:
        """Raise `NotAsYouWere` as `as_now` does, for whoever had to wait for something else than the store."""
        await self._store.read(lambda tx: self.as_now(tx, caller))

    def _device(self, tx: TokenTx, actor: str, credential: str) -> Caller:
        """A device of somebody's; a guest once its token is revoked, even if another has its name now."""
        device = device_of(actor)
        row = None if device is None else tx.tokens.device(*device)
        if row is None or row.for_actor is None or not row.hash.startswith(credential):
            return Caller(actor, Role.GUEST)
        root, role = self.standing_in(tx, row.for_actor)
        account = account_of(root, role)
        proxy = Proxy(row.for_actor, home_of(row.for_actor) or "", row.task_limit or 0, row.hash)
        return Caller(actor, role, account=account, proxy=proxy, linked=self._of.get(account, frozenset()))

    async def mint(
        self, caller: Caller, kind: str, name: str, *, for_actor: str | None = None, task_limit: int | None = None
    ) -> str:
        """A new token, shown this once. Raises the errors of this module."""
        authorize(caller, Action.MINT)
        if kind not in set(TokenKind):
            raise BadTokenKind(given=repr(kind[:40]))
        if not _NAME.fullmatch(name):
            raise BadTokenName(given=repr(name[:80]))
        if kind == TokenKind.WORKER and self.reserves(name):
            raise NameReserved(given=name)
        speaks = kind in _DEVICES.values()
        if not speaks and (for_actor or task_limit):
            raise OptionNotForKind(option="--for" if for_actor else "--task-limit", kind=kind)
        if speaks:
            if for_actor is None:
                raise NeedsActor(kind=kind)
            if home_of(check_actor(for_actor)) is None:
                raise NoPerson(given=repr(for_actor[:60]))
            task_limit = task_limit or 200
        token = f"timmy_{kind}_{self._ids.token(32)}"

        def work(tx: TokenTx) -> None:
            self.as_now(tx, caller)
            if any(row.kind == kind and row.name == name for row in tx.tokens.live()):
                raise TokenExists(kind=kind, name=name)
            tx.tokens.add(TokenRow(digest_of(token), kind, name, for_actor, task_limit, tx.now))

        await self._store.write(work)
        return token

    async def check(self, token: str) -> TokenRow | None:
        """The live credential of a token, if it is one. Those that were asked about are remembered until one is revoked."""
        return await self.check_digest(digest_of(token))

    async def check_digest(self, digest: str) -> TokenRow | None:
        """The same, by the hash of the token."""
        if (known := self._live.get(digest)) is not None:
            return known
        live = self._live
        if (found := await self._store.read(lambda tx: tx.tokens.by_hash(digest))) is not None:
            live[digest] = found  # where one was revoked meanwhile, what is remembered now is another
        return found

    def heard(self, events: Iterable[Event]) -> None:
        """Events were committed: where a token was revoked, all are looked up again."""
        if any(event.kind is Kind.TOKEN_REVOKED for event in events):
            self._live = {}

    async def live(self, caller: Caller) -> list[TokenRow]:
        """Every live credential that the caller may end."""
        authorize(caller, Action.TOKENS, own=True)
        return await self._store.read(lambda tx: self._theirs(tx, caller))

    def _theirs(self, tx: TokenTx, caller: Caller) -> list[TokenRow]:
        """An owner's are all; anybody else's those that speak for an identity of theirs."""
        selves = self.selves_in(tx, caller.actor)
        return [row for row in tx.tokens.live() if judge(caller, Action.TOKENS, own=row.for_actor in selves).allowed]

    async def revoke(self, caller: Caller, kind: str, name: str, *, key: str | None = None) -> None:
        """End a credential; what it holds open ends too. The same `key` again does nothing.

        Raises `NoSuchToken`, also for one that is not the caller's to end.
        """
        authorize(caller, Action.TOKENS, own=True)

        def work(tx: TokenTx) -> None:
            if key is not None and tx.applied(key) is not None:
                return
            self.as_now(tx, caller)
            theirs = any((row.kind, row.name) == (kind, name) for row in self._theirs(tx, caller))
            if not theirs or not tx.tokens.revoke(kind, name, tx.now):
                raise NoSuchToken(kind=repr(kind[:40]), name=repr(name[:80]))
            if key is not None:
                tx.mark(key, "")
            tx.emit(token_revoked(kind, name, caller.recorded))

        await self._store.write(work)


def account_of(root: str, role: Role) -> str:
    """Whose tasks and wallet an identity's are, given the one it is linked to and their role."""
    return CONSOLE_OWNER if role is Role.OWNER else root


def _called(caller: Caller, root: str, role: Role) -> Caller:
    """A caller with what their standing gives them; under `--as`, that of whoever is tried out, as far as it may be."""
    account, who = account_of(root, role), caller.acting_for or caller.actor
    if caller.acting_for:
        role = {Role.OWNER: Role.OPERATOR, Role.PAYER: Role.MEMBER, Role.GUEST: Role.MEMBER}.get(role, role)
    return caller._replace(role=role, account=account if account != who else None)


def _together(accounts: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The identities of each account."""
    found: dict[str, set[str]] = {}
    for identity, account in accounts.items():
        found.setdefault(account, set()).add(identity)
    return {account: frozenset(identities) for account, identities in found.items()}
