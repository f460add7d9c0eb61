"""Matrix under the suite: the whole surface with matrix-nio, against the fake homeserver on loopback."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from adapters.sqlite.connection import connect
from bot.parts.looks import DATABASE
from config.settings import Matrix
from tests.blank import blank
from tests.contract.surfaces.driver import Feat, Shown, Where
from tests.matrix_server import BOT, PASSWORD, MatrixServer
from tests.scenario.bot import NOBODY, hub, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.matrix_server import Json, Message, Room
    from tests.scenario.bot import Bot

OLGA, BOB = "@olga:localhost", "@bob:localhost"


class MatrixDriver:
    """See `Driver`."""

    name = "matrix"
    owner = f"matrix:{OLGA}"
    lacks = {  # noqa: RUF012 - a constant
        Feat.EMPTY: "has clients that send no blank message",
        Feat.DRAFTS: "keeps every edit in the room for ever, so that an answer in the making is only typing",
        Feat.COPIES: "knows a message that is sent again by its transaction id and shows it once",
    }

    encrypted = False

    def __init__(self, folder: Path, server: MatrixServer) -> None:
        self._folder = folder
        self._server = server
        if self.encrypted:
            for user in (OLGA, BOB):
                server.meet(user)
        home, other, stranger = (
            server.room(name, people, encrypted=self.encrypted)
            for name, people in {"Home": [OLGA], "Other": [OLGA, BOB], "Stranger": [BOB]}.items()
        )
        root = str(server.say(other, BOB, "poems here")["event_id"])
        self._places: dict[Where, tuple[Room, str, str | None]] = {
            Where.HOME: (home, OLGA, None), Where.OTHER: (other, OLGA, None), Where.THREAD: (other, OLGA, root),
            Where.STRANGER: (stranger, BOB, None),
        }  # fmt: skip
        self._last: tuple[Room, Json] | None = None
        self._started = False

    @classmethod
    @asynccontextmanager
    async def ready(cls, folder: Path) -> AsyncIterator[MatrixDriver]:
        """A homeserver with people and no hub yet; one has heard it once, so that what is said now waits for the next."""
        async with MatrixServer() as server:
            driver = cls(folder, server)
            if cls.encrypted:  # whoever writes to it must know its device
                async with driver.hub():
                    await driver.bot.see(lambda: driver.bot.rows("SELECT token FROM sync WHERE token <> ''"), pace=0)
            else:
                with closing(connect(blank(folder / "data" / DATABASE))) as connection:
                    connection.execute("INSERT INTO sync VALUES (?, ?, ?)", (f"matrix/{BOT}", server.now, "salt"))
            yield driver

    @asynccontextmanager
    async def hub(self, **how: Any) -> AsyncIterator[Bot]:
        """See `Driver`."""
        matrix = Matrix(
            homeserver=self._server.url, user=BOT, password=SecretStr(PASSWORD), rooms=self._places[Where.OTHER][0].id
        )
        found = settings(self._folder, ollama=how.pop("ollama", NOBODY), grant=how.pop("grant", 10_000))
        found = found.model_copy(update={"matrix": matrix, "owner": self.owner})
        async with hub(self._folder, found=found, **how) as self.bot:
            await self.bot.see(lambda: self._up, "Matrix up", pace=0)
            yield self.bot

    @property
    def _up(self) -> bool:
        surface = next(one for one in self.bot.app.health.surfaces if one.name == "matrix")
        return getattr(surface, "_session", None) is not None

    def say(self, text: str, where: Where = Where.HOME) -> None:
        """See `Driver`."""
        room, user, thread = self._places[where]
        self._last = (room, self._server.say(room, user, text, thread=thread))

    def repeat(self) -> None:
        """See `Driver`."""
        assert self._last is not None
        self._server.again(*self._last)

    def give(self, name: str, content: bytes) -> None:
        """See `Driver`."""
        room, user, _ = self._places[Where.HOME]
        self._server.give(room, user, name, content)

    def shown(self, where: Where = Where.HOME) -> list[Shown]:
        """See `Driver`."""
        room, _, thread = self._places[where]
        found = self._server.messages(room)
        boards = {one.id for one in found if one.thread == thread}  # what is told beneath them is told in their place
        return [self._shown(one) for one in found if one.thread == thread or one.thread in boards]

    def progress(self) -> list[str]:
        """See `Driver`."""
        room, *_ = self._places[Where.HOME]
        return [text for one in self._server.messages(room) for text in (*one.edits, one.text)]

    def alive(self) -> list[str]:
        """See `Driver`."""
        room, *_ = self._places[Where.HOME]
        return ["typing" for where, is_typing in self._server.typing if where == room.id and is_typing]

    def press(self, shown: Shown, label: str) -> None:
        """See `Driver`."""
        room, user, _ = self._places[Where.HOME]
        self._server.react(room, user, shown.ref.id, label)

    def down(self) -> None:
        """See `Driver`."""
        self._server.down()

    def up(self) -> None:
        """See `Driver`."""
        self._server.up()

    def stick(self) -> None:
        """See `Driver`."""
        self._server.hold()

    def unstick(self) -> None:
        """See `Driver`."""
        self._server.release()

    def lose(self) -> None:
        """See `Driver`."""
        self._server.lose()

    def flood(self, where: Where, seconds: int) -> None:
        """See `Driver`."""
        self._server.flood(self._places[where][0], seconds)

    def calm(self, where: Where) -> None:
        """See `Driver`."""
        self._server.calm(self._places[where][0])

    def _shown(self, message: Message) -> Shown:
        has_file = not {"url", "file"}.isdisjoint(message.content)
        files = {message.text: self._server.file(message.content)} if has_file else {}
        return Shown("" if files else message.text, list(message.labels), files, ref=message)


class EncryptedMatrixDriver(MatrixDriver):
    """The same in encrypted rooms, among people with keys."""

    encrypted = True
