"""Notifications: the one way by which the hub tells people something that is no answer.

Who wants what where is rows, held in memory; so are quiet hours. What comes for somebody in their quiet hours is a row too, written
in the unit of work that would have told it, and becomes messages in the one that takes it away: it is told once, whatever crashes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.access import Action, authorize
from core.automation.topics import (
    ASKED_FOR,
    CHANNEL,
    HEARD,
    IN_GROUPS,
    OWNERS,
    URGENT,
    Notice,
    Topic,
    Wish,
    check_off,
    places,
    within,
)
from core.chat import Role
from core.errors import UserError
from core.messages import MessageTx
from core.store import patiently
from core.tokens import CONSOLE_OWNER, TokenTx, home_of, person_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import tzinfo

    from core.automation.quiet import Hours
    from core.chat import Caller, Outgoing, Reply
    from core.ports import Clock
    from core.store import Store
    from core.tokens import Identities

log = logging.getLogger(__name__)

LOOK_MS = 900_000
"""How long the clock is trusted: it may be set, and the machine may sleep."""

AT_ONCE = 200
"""Messages of one person that are told in one unit of work after their quiet hours; the rest follows."""


class NotInGroups(UserError):
    """{topic} is for nobody but you. Say it to me in a private chat."""

    status = 409


class NobodyElseHears(UserError):
    """{topic} cannot be turned off here: no other owner would be told, and somebody has to be. Have it told elsewhere first."""

    status = 409


class NoSuchChannel(UserError):
    """There is no channel {given}.{known}"""

    status = 404


class Held(NamedTuple):
    """What came in somebody's quiet hours: for which place, when (Unix ms), and what."""

    place: str
    at: int
    reply: Reply


class NoticeStore(Protocol):
    """Who wants what where, and what waits, inside one unit of work."""

    def wishes(self) -> list[Wish]:
        """Every wish, by topic and place."""

    def wish(self, wish: Wish, now: int) -> None:
        """Somebody wants this from now on, whatever was wanted of the topic in that place."""

    def unwish(self, topic: Topic, place: str) -> None:
        """As if nothing had been said of a topic in a place."""

    def hours(self) -> dict[str, Hours]:
        """Everybody's quiet hours, by person."""

    def keep_hours(self, person: str, hours: Hours | None) -> None:
        """These are a person's from now on, or none."""

    def hold(self, person: str, place: str, reply: Reply, now: int) -> None:
        """Keep a message until a person's quiet hours are over."""

    def waiting(self) -> dict[str, int]:
        """For whom how many wait."""

    def take(self, person: str, limit: int) -> list[Held]:
        """What waits for a person, the oldest first, some at most: it waits no more."""


class NoticeTx(TokenTx, MessageTx, Protocol):
    """A unit of work over notices, and the messages that they become."""

    @property
    def notices(self) -> NoticeStore:
        """Notices."""


class Standing(NamedTuple):
    """What somebody is told where: by topic the places, and the channels there are; their quiet hours, and what waits."""

    told: Mapping[Topic, Sequence[str]]
    hours: Hours | None
    waiting: int
    channels: Sequence[str]


class Notices:
    """Tells. `load` before use; `zone`: the hub's; `channels`: the names that the settings give.

    `together` makes one place's messages of what waited for it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self,
        store: Store[NoticeTx],
        clock: Clock,
        identities: Identities,
        zone: tzinfo | None,
        together: Callable[[Sequence[Held]], Sequence[Reply]],
        send: Callable[[Outgoing], None],
        channels: Collection[str] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._identities = identities
        self._zone = zone
        self._together = together
        self._send = send
        self._channels = frozenset(channels)
        self._wishes: tuple[Wish, ...] = ()
        self._bids: tuple[Wish, ...] = ()
        self._hours: Mapping[str, Hours] = {}
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Read who wants what where."""
        wishes, self._hours = await self._store.read(lambda tx: (tx.notices.wishes(), tx.notices.hours()))
        self._wishes = tuple(wish for wish in wishes if self._is_there(wish.place))
        self._bids = tuple(wish for wish in self._wishes if wish.topic is Topic.BIDS and wish.on)

    def _is_there(self, place: str) -> bool:
        """Whether a place is none of a channel that the settings name no more."""
        return not place.startswith(CHANNEL) or place.removeprefix(CHANNEL) in self._channels

    # Telling ---------------------------------------------------------------------------------------------------

    def tell(self, tx: NoticeTx, notice: Notice) -> list[Outgoing]:
        """Write a notice for whoever wants it, in the unit of work that it follows from; returns what is to be sent now."""
        return self._written(tx, notice, places(notice, self._wishes))

    def put(self, tx: NoticeTx, there: Collection[str], reply: Reply) -> list[Outgoing]:
        """The same for what an owner has put into these places by name: whoever is at home there may be quiet, but wants it."""
        return self._written(tx, Notice(Topic.HEALTH, reply), [(place, "") for place in there])

    def _written(self, tx: NoticeTx, notice: Notice, found: Sequence[tuple[str, str]]) -> list[Outgoing]:
        now: list[Outgoing] = []
        for place, actor in found:
            person = self._asleep(place, actor, notice, tx.now)
            if person is None:
                now.append(tx.messages.queue(place.partition(":")[0], place, notice.reply, None, tx.now))
            else:
                tx.notices.hold(person, place, notice.reply, tx.now)
        return now

    def _asleep(self, place: str, actor: str, notice: Notice, now: int) -> str | None:
        """Whose quiet hours hold it up now; None if nobody's: a group is told, whoever wanted it there."""
        if not self._hours or notice.topic in URGENT or (actor and _is_group(place, actor)):
            return None
        person = self._person(actor or person_of(place) or place)
        hours = self._hours.get(person)
        stretch = hours.stretch(now, self._zone) if hours else None
        return person if stretch is not None and notice.since < stretch[0] else None

    def _person(self, actor: str) -> str:
        """Whose an identity is: the one that it is linked to. Owners share an account, and are persons all the same."""
        if self._identities.owns(actor):
            return actor  # the settings say so, whatever they were linked to before
        return next((link.account for link in self._identities.links if link.actor == actor), actor)

    def knows(self, tx: NoticeTx, actor: str) -> bool:
        """Whether somebody has a role here: nobody else is told of anything."""
        return self._identities.role_in(tx, actor) is not Role.GUEST

    def person(self, caller: Caller) -> str:
        """The person who asks, by the identity that all of theirs are linked to."""
        return self._person(_who(caller))

    def asked_to_bid(self, conversation: str) -> bool:
        """Whether people asked to bid on what is posted here: its bidding lasts its whole time."""
        return any(within(conversation, wish.place) and self._identities.known(wish.actor) for wish in self._bids)

    def call_for_bids(self, tx: NoticeTx, reply: Reply, *, but: Collection[str]) -> list[Outgoing]:
        """Put a task to everybody who wants to bid; `but`: all identities of whoever posted it, who need not be told at home."""
        found = [
            (wish.place, wish.actor)
            for wish in self._bids
            if self._identities.known(wish.actor)
            if wish.place not in but and not (wish.place.startswith(CHANNEL) and wish.actor in but)
        ]
        return self._written(tx, Notice(Topic.BIDS, reply), found)

    def wanted_in(self, place: str) -> bool:
        """Whether somebody wants anything told in a place."""
        return any(wish.place == place and wish.on for wish in self._wishes)

    # What people want ------------------------------------------------------------------------------------------

    async def set(
        self, caller: Caller, conversation: str, topic: Topic, *, on: bool, channel: str | None = None
    ) -> str:
        """Have a topic told here or in a channel, or not there any more; returns the place.

        Raises `CannotBeOff`, `NotInGroups`, `NobodyElseHears`, `NoSuchChannel`, `NotAllowed`.
        """
        authorize(caller, Action.NOTIFY)
        actor, place = _who(caller), _place(caller, conversation)
        if topic in OWNERS or channel is not None:
            authorize(caller, Action.OVERSEE)
        if channel is not None:
            place = self._channel(channel)
        elif not caller.private and topic not in IN_GROUPS:
            raise NotInGroups(topic=topic.value)
        elif not caller.private and on:
            authorize(caller, Action.TELL)
        home = place == home_of(actor)
        if home and not on:
            check_off(topic)

        def work(tx: NoticeTx) -> None:
            self._identities.as_now(tx, caller)
            if home and not on and topic in HEARD:
                self._check_heard(tx, topic, place)
            named = home and topic is Topic.BIDS  # who is asked by name is told, unless they want to hear of none
            if on is (home and topic not in ASKED_FOR) and not named:
                tx.notices.unwish(topic, place)  # it is so where nothing is said
            else:
                tx.notices.wish(Wish(topic, place, actor, on), tx.now)

        await self._store.write(work)
        await self.load()
        return place

    def _check_heard(self, tx: NoticeTx, topic: Topic, home: str) -> None:
        """Raise `NobodyElseHears` where no other place is left in which owners are told of a topic."""
        wishes = [wish for wish in tx.notices.wishes() if wish.topic is topic and self._is_there(wish.place)]
        off = {wish.place for wish in wishes if not wish.on} | {home}
        homes = self._identities.everybody(CONSOLE_OWNER) - {CONSOLE_OWNER} - off
        elsewhere = any(wish.on and self._identities.account(wish.actor) == CONSOLE_OWNER for wish in wishes)
        if not homes and not elsewhere:
            raise NobodyElseHears(topic=topic.value)

    def _channel(self, given: str) -> str:
        if given not in self._channels:
            known = ", ".join(sorted(self._channels))
            words = f" Channels: {known}" if known else " TIMMY_NOTIFY_CHANNELS names them (docs/notifications.md)."
            raise NoSuchChannel(given=repr(given[:40]), known=words)
        return CHANNEL + given

    async def set_hours(self, caller: Caller, hours: Hours | None) -> None:
        """These are the caller's quiet hours from now on, or none: what waits is then told at once."""
        authorize(caller, Action.NOTIFY)

        def work(tx: NoticeTx) -> None:
            self._identities.as_now(tx, caller)
            tx.notices.keep_hours(self.person(caller), hours)

        await self._store.write(work)
        await self.changed()

    async def changed(self) -> None:
        """Read again who wants what where, and when: somebody's quiet hours may be over."""
        await self.load()
        self._wake.set()

    @staticmethod
    def join(tx: NoticeTx, actor: str, person: str) -> tuple[Hours | None, Hours | None]:
        """An identity is one with another person's: their quiet hours hold for it, or its own for them where they have none.

        What waits for it waits for their end, and stays its own. Returns the hours that it had, and those that they had. Call
        `changed` after.
        """
        hours = tx.notices.hours()
        had, theirs = hours.get(actor), hours.get(person)
        tx.notices.keep_hours(actor, None)
        tx.notices.keep_hours(person, theirs or had)
        return had, theirs

    @staticmethod
    def part(tx: NoticeTx, actor: str, person: str) -> Hours | None:
        """An identity is a person of its own again, with the quiet hours that it had as another's. Call `changed` after."""
        hours = tx.notices.hours().get(person)
        tx.notices.keep_hours(actor, hours)
        return hours

    async def standing(self, caller: Caller, conversation: str) -> Standing:
        """What the caller is told where; in a group, what is told there."""
        wishes = self._wishes
        if not caller.private:
            told = {topic: [conversation] for topic in Topic if any(_is(wish, topic, conversation) for wish in wishes)}
            return Standing(told, None, 0, ())
        selves = caller.linked | {_who(caller)}
        if caller.role is Role.OWNER:
            selves |= self._identities.everybody(CONSOLE_OWNER)
        homes = sorted(home for one in selves if (home := home_of(one)) is not None)
        owns = caller.role is Role.OWNER
        told = {
            topic: _told(topic, homes, [wish for wish in wishes if wish.topic is topic and wish.actor in selves])
            for topic in Topic
            if owns or topic not in OWNERS
        }
        person = self.person(caller)
        held = await self._store.read(lambda tx: tx.notices.waiting())
        waiting = sum(some for one, some in held.items() if self._person(one) == person)
        return Standing(told, self._hours.get(person), waiting, sorted(self._channels) if owns else ())

    # What waited -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell what waited, once quiet hours are over, for ever."""
        while True:
            self._wake.clear()
            await self.load()
            ends = [end for end in [await self._look(person) for person in await self._waiting()] if end is not None]
            now = self._clock.now()
            next_look = [end for hours in self._hours.values() if (end := self._ends(hours, now)) is not None]
            await self._clock.until(min([*ends, *next_look, now + LOOK_MS]), self._wake)

    def _ends(self, hours: Hours, now: int) -> int | None:
        stretch = hours.stretch(now, self._zone)
        return None if stretch is None else stretch[1]

    async def _waiting(self) -> Collection[str]:
        return await self._store.read(lambda tx: tx.notices.waiting())

    async def _look(self, person: str) -> int | None:
        """Tell what waited for an identity, unless its person is quiet: then until when. Who lost role or link is not told."""
        hours = await self._store.read(lambda tx: tx.notices.hours().get(self._root(tx, person)))
        if hours and (end := self._ends(hours, self._clock.now())) is not None:
            return end
        while True:

            def work(tx: NoticeTx) -> tuple[list[Outgoing], bool]:
                held = tx.notices.take(person, AT_ONCE)
                by_place: dict[str, list[Held]] = {}
                for one in held:
                    if self._is_theirs(tx, person, one.place):
                        by_place.setdefault(one.place, []).append(one)
                told = [
                    tx.messages.queue(place.partition(":")[0], place, reply, None, tx.now)
                    for place, some in by_place.items()
                    for reply in self._together(some)
                ]
                return told, len(held) == AT_ONCE

            told, more = await patiently(self._store, work, self._clock)
            for message in told:
                self._send(message)
            if not more:
                return None

    def _is_theirs(self, tx: NoticeTx, person: str, place: str) -> bool:
        """Whether a person has a role, and whoever is at home in a place is still them."""
        at_home = person_of(place) or person
        return self.knows(tx, person) and self._root(tx, at_home) == self._root(tx, person)

    def _root(self, tx: NoticeTx, actor: str) -> str:
        return self._identities.standing_in(tx, actor)[0]


def _is(wish: Wish, topic: Topic, place: str) -> bool:
    return wish.on and wish.topic is topic and wish.place == place


def _is_group(place: str, actor: str) -> bool:
    """Whether a place where somebody wants something told is neither theirs nor a channel."""
    return place != home_of(actor) and not place.startswith(CHANNEL)


def _told(topic: Topic, homes: Sequence[str], wishes: Sequence[Wish]) -> list[str]:
    """Where somebody at these homes is told of a topic, besides where a task was posted."""
    off = {wish.place for wish in wishes if not wish.on}
    usual = [] if topic in ASKED_FOR else [home for home in homes if home not in off]
    return [*usual, *(wish.place for wish in wishes if wish.on and wish.place not in usual)]


def _who(caller: Caller) -> str:
    """The identity that says it: of a device, its person's."""
    return caller.proxy.person if caller.proxy else caller.actor


def _place(caller: Caller, conversation: str) -> str:
    """Where it is told that somebody wants here: in private, the conversation in which they are at home."""
    return (home_of(_who(caller)) or conversation) if caller.private else conversation
