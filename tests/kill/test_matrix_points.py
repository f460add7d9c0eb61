"""A crash at every named point of a life on Matrix: each unit of work, each request, each write of the store of keys.

Matrix outlives the hub, and knows what is sent again by its transaction id: whatever happened, a message is answered once,
and no copy stands in any room. What the saved sync token has passed is kept; in an encrypted room nothing stands in clear.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from adapters.matrix import content
from adapters.matrix.guard import Store
from adapters.matrix.surface import _FILTER
from bot.parts.looks import DATABASE
from config.settings import Matrix
from core.chat import Role
from core.pairing import HOUR_MS, code_digest
from core.wallet.ledger import EXTERNAL, transfer, user_account
from tests.depth import depth
from tests.fakes import EPOCH
from tests.kill.crash import Fate, MortalServer
from tests.kill.story import Story, calmly, crashed, first
from tests.matrix_server import BOT, PASSWORD, MatrixServer
from tests.scenario.bot import rows, settings
from tests.speech import Ears

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from pathlib import Path

    from aiohttp import web

    from adapters.sqlite.unit_of_work import UnitOfWork
    from config.settings import Settings
    from tests.matrix_server import Message

    Lines = Sequence[tuple[str, str | bytes]]

OLGA, BOB, ANN = "@olga:localhost", "@bob:localhost", "@ann:localhost"
"""Olga owns the hub, Bob is let in with 70 sats, and so is Ann, whose account Bob may join; she has no room yet."""
GROUP = "!group:localhost"
CODE = "ABCD2345"
WALKS: dict[str, Lines] = {
    "task": [(OLGA, "!task write a letter max=100")],
    "talk": [(OLGA, "what is up? " + "tell me more of it " * 400), (OLGA, "!new")],
    "words": [(OLGA, "have quill write a letter"), (OLGA, "Yes")],
    "approval": [(BOB, f"!link {CODE}"), (BOB, "Approve"), (OLGA, "!whoami")],
    "person": [(OLGA, f"!task paint the shed to=matrix:{BOB}"), (BOB, "!bid 1 50"), (BOB, "!deliver 1 it is red")],
    "voice": [(OLGA, b"what is my balance"), (OLGA, b"summarise welcome.md for at most fifty sats"), (OLGA, "Yes")],
    "away": [(OLGA, "!task write a letter max=100"), (GROUP, "!show 8"), (GROUP, "!show 9"), (OLGA, "what is up?")],
}
"""What is said by whom, in their own room, or by Olga among others; bytes are spoken."""
LEAST = {"task": 30, "talk": 20, "words": 30, "approval": 30, "person": 30, "voice": 35, "away": 25}
"""How many points a calm walk must meet at least, once it is up, or the harness has lost sight of the hub."""
OWN = ("wire ", "keys ", "Memory.", "Delivery._branched")
"""Points that only a life on Matrix has."""
UP = "SELECT count(*) FROM sync WHERE token <> ''"
CHATTER = ("nice weather", "is it", "it is", "good")
"""More than a sync brings at once here."""
CLEAR = frozenset({"m.room.encrypted", "m.reaction", "m.room.redaction", "m.room.member"})
"""What the bot may send to an encrypted room."""


class MortalMatrix(MortalServer, MatrixServer):
    """A homeserver before a hub that may die."""

    def route(self, request: web.BaseRequest) -> str:
        """See `MortalServer`: what stands in a path for a room, an event or a transaction names nothing."""
        words = request.path.partition("/v")[2].split("/")[1:]
        words = words[2:] if words[0] == "rooms" else words
        return " ".join(words[:2] if words[0] in {"send", "sendToDevice", "keys"} else words[:1])


class MortalKeys(Store):
    """The store of keys under a `fate`: whatever is committed there is a point, and what a dead hub commits is lost."""

    fate: Fate

    def _create_database(self) -> Any:
        database = super()._create_database()
        database.commit = partial(_commit, self.fate, "commit", database.commit, database.rollback)
        return database


def _commit(fate: Fate, name: str, commit: Callable[[], object], undo: Callable[[], object] = lambda: None) -> None:
    names = [] if fate.dead else [fate.name(f"keys {name}")]
    if fate.dead or fate.strikes("before", names):
        undo()
        return
    commit()
    fate.strikes("after", names)


def _alone(name: str) -> Any:
    """A write of its own, or a part of what is committed later."""

    def save(self: MortalKeys, *args: Any) -> None:
        write = partial(getattr(super(MortalKeys, self), name), *args)
        write() if self.database.in_transaction() else _commit(self.fate, name, write)

    return save


for _name in ("save_account", "save_session", "save_inbound_group_session"):
    setattr(MortalKeys, _name, _alone(_name))


class MatrixStory(Story):
    """One homeserver over several lives of the hub: a room of Olga's, one of Bob's, one of both; those of `encrypted` are so."""

    pace = 20

    def __init__(self, folder: Path, lines: Lines, server: MortalMatrix, encrypted: Collection[str]) -> None:
        super().__init__(folder, lines)
        self.server = server
        self.events: list[tuple[int, str]] = []
        """What was said: its place in the stream, and its event."""
        for number, user in enumerate([ANN, *(encrypted and (OLGA, BOB))]):
            server.meet(user, seed=number)
        self.rooms = {user: server.room(user[1:4], [user], encrypted=user in encrypted) for user in (OLGA, BOB)}
        self.rooms[GROUP] = server.room("group", [OLGA, BOB], encrypted=GROUP in encrypted)
        self.begun = 0
        """How many points it takes to be up."""

    def settings(self) -> Settings:
        """See `Story`."""
        matrix = Matrix(homeserver=self.server.url, user=BOT, password=SecretStr(PASSWORD), rooms=GROUP)
        return settings(self.folder).model_copy(update={"matrix": matrix, "owner": f"matrix:{OLGA}"})

    async def live(self, fate: Fate) -> None:
        """See `Story`."""
        self.server.fate = fate
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("adapters.matrix.session.Store", type("Keys", (MortalKeys,), {"fate": fate}))
            timeline: Any = _FILTER["room"]
            patch.setitem(timeline["timeline"], "limit", len(CHATTER) - 1)
            await super().live(fate)
        if self.folder.joinpath("data", DATABASE).exists():
            self.keeps_what_it_passed()

    async def away(self) -> None:
        """It was up once; then everything is said while nobody listens."""
        lines, self.lines = self.lines, ()
        await self.live(Fate())
        self.lines = lines
        self.said = [self.say(line) for line in lines]

    async def _live(self, fate: Fate) -> None:
        async with self._hub(ear=Ears()) as (app, clock):
            if not await app.store.read(lambda tx: tx.tokens.people()):
                await app.store.write(_begin)
            await app.hub.identities.refresh()
            await self._until(app, fate, clock, UP)
            self.begun = len(fate.met)
            await self._talk(app, fate, clock)

    def say(self, line: tuple[str, str | bytes]) -> str:
        """See `Story`: or tap the reaction of that name under the newest message that has one. Among others, others talk then."""
        where, words = line
        room, user = self.rooms[where], OLGA if where == GROUP else where
        tapped = [one for one in self.server.messages(room) if words in one.labels]
        if isinstance(words, bytes):
            self.server.speak(room, user, words)
        elif tapped:
            self.server.react(room, user, tapped[-1].id, words)
        else:
            self.server.say(room, user, words)
        at, event = room.events[-1]
        self.events.append((at, event["event_id"]))
        for chat in CHATTER if where == GROUP else ():
            self.server.say(room, BOB, chat)
        return str(event["event_id"])

    def keeps_what_it_passed(self) -> None:
        """What was said up to the sync token is in the database."""
        marks = rows(self.settings(), "SELECT token FROM sync WHERE token <> ''")
        passed = int(marks[0][0].removeprefix("s")) if marks else 0
        kept = {event for (event,) in rows(self.settings(), "SELECT update_id FROM inbound")}
        assert {event for at, event in self.events if at <= passed} <= kept

    def amiss(self) -> str | None:
        """See `Story`."""
        due = Counter(part.text.strip() for reply in self.sent() for part in content.texts(reply))
        shown = [one for room in self.server.rooms.values() for one in self.server.messages(room)]
        if lost := [text for text in due if not any(text in _ever(one) for one in shown)]:
            return f"sent, they say, and never shown: {lost}"
        if twice := Counter(_ever(one)[0] for one in shown) - due:
            return f"shown once more: {twice}"
        for room in self.server.rooms.values():
            if clear := [
                one for _, one in room.events if room.encrypted and one["sender"] == BOT and one["type"] not in CLEAR
            ]:
                return f"sent in clear: {clear}"
        return None


def _begin(tx: UnitOfWork) -> None:
    for user in (ANN, BOB):
        tx.tokens.give(f"matrix:{user}", Role.MEMBER, "", tx.now)
    account = user_account(f"matrix:{BOB}")
    tx.ledger.append(transfer("to Bob", "grant", EXTERNAL, account, 70_000, task=None, actor="hub", reason=""))
    tx.links.add(code_digest(CODE), f"matrix:{ANN}", EPOCH + HOUR_MS)


def _ever(message: Message) -> list[str]:
    return [text.strip() for text in (*message.edits, message.text)]


@asynccontextmanager
async def _story(folder: Path, lines: Lines, encrypted: Collection[str]) -> AsyncIterator[MatrixStory]:
    async with MortalMatrix() as server:
        story = MatrixStory(folder, lines, server, encrypted)
        if lines is WALKS["away"]:
            await story.away()
        yield story


@pytest.mark.deep
@pytest.mark.kill
@pytest.mark.deep
@pytest.mark.timeout(120)
async def test_a_hub_that_dies_at_each_kind_of_point_on_matrix_one_after_another(tmp_path: Path) -> None:
    lines = [*WALKS["task"], WALKS["voice"][0], *WALKS["away"][1:], *WALKS["approval"]]
    async with _story(tmp_path / "calm", lines, {OLGA}) as calm:
        points = await calmly(calm, 60)
    kinds = [point for point in first(points) if point.startswith(OWN)][:: depth(9, 1)]
    async with _story(tmp_path / "killed", lines, {OLGA}) as story:
        assert await crashed(story, calm, *(f"after {point}" for point in kinds)) is None
        assert story.deaths >= depth(2, 20), "it saw the points"


@pytest.mark.kill_sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("encrypted", [(), (OLGA, BOB, GROUP)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("walk", WALKS)
async def test_a_crash_at_every_point_on_matrix(
    tmp_path: Path, walk: str, encrypted: tuple[str, ...], when: str
) -> None:
    async with _story(tmp_path / "calm", WALKS[walk], encrypted) as calm:
        points = await calmly(calm, LEAST[walk])
    wrong, died = {}, 0
    for number, point in enumerate(points if walk == "task" else points[calm.begun :]):
        async with _story(tmp_path / str(number), WALKS[walk], encrypted) as story:
            wrong[point] = await crashed(story, calm, f"{when} {point}")
            died += story.deaths
    assert died > len(wrong) * 0.7, "it saw the points"
    assert {point: trouble for point, trouble in wrong.items() if trouble} == {}
