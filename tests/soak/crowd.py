"""The people: who they are, where they talk, and what each of them does again and again until the time is over.

Half of them own the hub and post tasks; the others are members, let in with a pairing code as anybody is. Most wait for an
answer before they go on; some say several things at once. What they say is drawn by dice of their own, so that a seed says
the same again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.clockwork import SystemClock
from tests.soak.talks import LOOK, OnConsole, OnMatrix, OnTelegram

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.soak.talks import Desk, Talk
    from tests.soak.tally import Said, Tally
    from tests.soak.wires import WatchedMatrix, WatchedTelegram

OWNERS, MEMBERS = range(101, 109), range(201, 209)
"""Numbers of people on Telegram; those on Matrix are called after the last digits."""

GROUPS = (-1001, -1002)
FORUM = -1001234567890
THINK = 1.2
"""Seconds between an answer and the next thing said, on average: uniform from nothing to twice that."""

PATIENCE = 15.0
"""Seconds that somebody waits for one answer before they go on; it is counted all the same."""

LINGER = 40.0
"""Seconds that somebody waits for a button, over a flood wait and a restart."""

MOST_TRIES = 40
NOTES = b"day,place,sold\nMonday,north,12\nTuesday,south,7\nWednesday,north,31\n"
SKILLS = ("describe sample.csv", "summarise welcome.md", "report on this machine", "scan the workspace for secrets")
RECORDINGS = Path(__file__).parents[1] / "voice" / "notes"
SPOKEN = {
    "balance.ogg": ('Heard: "show me my balance"', " sats free, "),
    "pizza.ogg": ("I did not understand what you said",),
    "task.ogg": ('Heard: "post a task to summari', "e welcome.md\nNo max="),
}
"""What people say in voice notes, and words of each message that answers it. An ear spells summarise as it likes."""

UNSIGNED = ("/agents", "/status", "/help", "/whoami", "/tasks", "/why")
LONG = " and then it went on" * 12


@dataclass
class World:
    """All the places, and the names that the hub's settings need."""

    talks: list[Talk]
    members: list[Talk]
    """Where each of those who must be let in talks in private."""

    owners: list[str]
    chats: list[int]
    rooms: list[str]

    def home(self, actor: str) -> Talk:
        """Where somebody talks in private."""
        return next(talk for talk in self.talks if talk.private and talk.actor == actor)

    def meet(self, talk: Talk) -> None:
        """Somebody whom the hub knows by its settings, or has to let in."""
        if talk.owner:
            self.owners.append(talk.actor)
        else:
            self.members.append(talk)


def settle(telegram: WatchedTelegram, matrix: WatchedMatrix, desk: Desk) -> World:
    """Make everybody and every place."""
    world = World([], [], [], [], [])
    for user in (*OWNERS, *MEMBERS):
        talk = OnTelegram(telegram, telegram.private(user, f"Person {user}"), user, user in OWNERS)
        world.talks.append(talk)
        world.meet(talk)
    _groups(world, telegram)
    _rooms(world, matrix)
    world.talks += [OnConsole(desk) for _ in range(4)]
    return world


def _groups(world: World, telegram: WatchedTelegram) -> None:
    people = (*OWNERS[:3], *MEMBERS[:3])
    for number in GROUPS:
        group = telegram.group(-1000000000000 + number, f"Group {-number}", members=people)
        world.chats.append(group.id)
        world.talks += [OnTelegram(telegram, group, user, user in OWNERS) for user in (OWNERS[0], MEMBERS[0])]
    forum = telegram.group(FORUM, "Forum", forum=True, members=people)
    world.chats.append(FORUM)
    for name, user in (("Work", OWNERS[1]), ("Talk", MEMBERS[1])):
        world.talks.append(OnTelegram(telegram, forum, user, user in OWNERS, telegram.topic(forum, name)))


def _rooms(world: World, matrix: WatchedMatrix) -> None:
    for number in range(10):
        user, encrypted, is_owner = f"@p{number}:localhost", number % 2 == 1, number < 5
        if encrypted:
            matrix.meet(user, seed=number + 1)
        talk = OnMatrix(matrix, matrix.room(f"P{number}", [user], encrypted=encrypted), user, is_owner)
        world.talks.append(talk)
        world.meet(talk)
    for name, people, encrypted in (("Plain", (0, 6), False), ("Sealed", (1, 7), True)):
        users = [f"@p{number}:localhost" for number in people]
        room = matrix.room(name, users, encrypted=encrypted)
        world.rooms.append(room.id)
        world.talks += [OnMatrix(matrix, room, user, number < 5) for number, user in zip(people, users, strict=True)]


class Person:
    """Somebody who talks in one place."""

    def __init__(self, talk: Talk, tally: Tally, seed: str) -> None:
        self._talk = talk
        self._tally = tally
        self._dice = random.Random(seed)  # noqa: S311 - the same again
        self.gave_up: list[str] = []

    async def live(self, over: Callable[[], bool]) -> None:
        """Talk until it is over."""
        deeds, weights = zip(*self._deeds(), strict=True)
        while not over():
            await SystemClock().sleep(self._dice.uniform(0, 2 * THINK))
            (deed,) = self._dice.choices(deeds, weights)
            await deed()

    def _deeds(self) -> Sequence[tuple[Callable[[], Awaitable[None]], int]]:
        talk = self._talk
        deeds: list[tuple[Callable[[], Awaitable[None]], int]] = [(self._look_up, 40), (self._ask, 25)]
        if talk.surface != "console":
            deeds.append((self._unsigned, 12))
        if talk.has_files and talk.private:  # among others a file is for them, unless the hub is named
            deeds += [(self._give, 3), (self._speak, 2)]
        if talk.owner:
            deeds += [(self._task, 10), (self._skill, 3)]
        if talk.owner and talk.has_files:
            deeds += [(self._question, 5), (self._pick, 2), (self._cancel, 2)]
        return deeds

    async def _look_up(self) -> None:
        """One thing, or a burst of them."""
        for said in [self._said("T-{:07}", "/show {}", 9_000_000) for _ in range(self._dice.choice((1, 1, 1, 1, 4)))]:
            await said.wait(PATIENCE)

    async def _ask(self) -> None:
        await self._said("q{:06}", "{} " + self._dice.choice(("what is up", "tell me a tale" + LONG))).wait(PATIENCE)

    async def _unsigned(self) -> None:
        said = self._tally.note(self._talk.surface, self._talk.place)
        self._talk.say(said, self._dice.choice(UNSIGNED))
        await SystemClock().sleep(0.2)

    async def _give(self) -> None:
        number = self._tally.number()
        said = self._tally.note(self._talk.surface, self._talk.place, f"q{number:06}")
        self._talk.give(said, f"{said.sign}.csv", NOTES)
        await said.wait(PATIENCE)

    async def _speak(self) -> None:
        name = self._dice.choice(list(SPOKEN))
        said = self._tally.speak(self._talk.surface, self._talk.place, SPOKEN[name])
        said.text = name
        self._talk.speak(said, (RECORDINGS / name).read_bytes())
        await said.wait(PATIENCE)

    async def _task(self) -> None:
        await self._posted("write a letter to=quill").wait(PATIENCE)

    async def _skill(self) -> None:
        await self._posted(self._dice.choice(SKILLS)).wait(PATIENCE)

    async def _question(self) -> None:
        """A task in plain words is asked back; the answer stands in the place of the question."""
        number = self._tally.number()
        said = self._tally.note(self._talk.surface, self._talk.place, f"max={10_000 + number}")
        self._talk.say(said, f"have quill write a letter for at most {10_000 + number} sats")
        await self._press(_budget(number), said.sign, "Yes", LINGER)

    async def _pick(self) -> None:
        """A task whose winner is picked among the bids, by an impatient finger, and again while the winner is busy."""
        task = await self._number(self._posted("write a letter pick=ask"))
        tries = 0
        while task and not self._talk.reads(f"{task} settled") and tries < MOST_TRIES:
            tries += 1
            for seconds in (LINGER if tries == 1 else 1.0, LOOK):
                await self._press("", f"{task} bids", "quill 40", seconds)
            await SystemClock().sleep(1.0)
        if tries == MOST_TRIES:
            self.gave_up.append(f"{self._talk.place}: {task} was not to be had")

    async def _cancel(self) -> None:
        """A task that is called off while an agent is at it, or is done by then."""
        task = await self._number(self._posted(self._dice.choice(SKILLS)))
        if task:
            self._talk.say(self._tally.note(self._talk.surface, self._talk.place), f"/cancel {task}")

    async def _press(self, sign: str, words: str, label: str, seconds: float, talk: Talk | None = None) -> None:
        talk = talk or self._talk
        said = self._tally.note(talk.surface, talk.place, sign)
        if not await talk.press(said, words, label, seconds):
            self._tally.take_back(said)
            if seconds == LINGER:
                self.gave_up.append(f"{talk.place}: no button {label!r} under {words!r}")
        elif sign:
            await said.wait(PATIENCE)

    async def _number(self, said: Said) -> str:
        """The name of a posted task, once its answer has said it; empty if that does not come."""
        if not await said.wait(LINGER):
            self.gave_up.append(f"{self._talk.place}: no answer to the task of {said.sign} sats")
        return said.told.partition(" ")[0]

    def _posted(self, what: str) -> Said:
        number = self._tally.number()
        said = self._tally.note(self._talk.surface, self._talk.place, _budget(number))
        self._talk.say(said, f"/task {what} max={10_000 + number}")
        return said

    def _said(self, sign: str, text: str, base: int = 0) -> Said:
        said = self._tally.note(self._talk.surface, self._talk.place, sign.format(base + self._tally.number()))
        self._talk.say(said, text.format(said.sign))
        return said


def _budget(number: int) -> str:
    return f"{10_000 + number:,}"
