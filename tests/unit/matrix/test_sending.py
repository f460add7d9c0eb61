"""What a room is when something is sent there: it may change in the middle, and what is sent follows or waits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from adapters.matrix.memory import Memory
from adapters.matrix.rooms import YOUNG_MS, Rooms
from adapters.matrix.sending import Sender
from adapters.sqlite.writer import Database
from core.chat import NotSent, Outgoing, Reply, Undeliverable
from core.voice.hearing import Voice
from tests.blank import blank
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANN = "matrix:@ann:here"


class Talk:
    """A sender, and a client that says what the test wants of one room."""

    def __init__(self, memory: Memory, clock: FakeClock) -> None:
        self.clock = clock
        self.room = SimpleNamespace(room_id="!room", encrypted=False, member_count=2, users={"@ann:here": None})
        self.sent: list[Any] = []
        self.uploads: list[bool] = []
        self.lost = 0
        self.turns = False
        """Whether the room becomes encrypted while something is uploaded."""
        self.client = SimpleNamespace(
            rooms={}, room_create=self._made, upload=self._uploaded, room_send=self._send, room_typing=self._send
        )
        self.rooms = Rooms(memory, encrypts=True)
        encryption = SimpleNamespace(
            is_sealed=lambda room: room in memory.latched or self.room.encrypted, share=self._shared
        )
        self.session: Any = SimpleNamespace(client=self.client, encryption=encryption)
        parts = {
            "access": SimpleNamespace(encryption="optional"),
            "memory": memory,
            "rooms": self.rooms,
            "clock": clock,
        }
        parts |= {
            "buttons": SimpleNamespace(stands_for=str),
            "receipts": SimpleNamespace(answered=str),
            "spawner": None,
        }
        self.sender = Sender(SimpleNamespace(**parts))  # type: ignore[arg-type]

    async def _made(self, **_: Any) -> Any:
        return SimpleNamespace(room_id="!room")

    async def _shared(self, room: str) -> None:
        """Everybody has the key."""

    async def _uploaded(self, *_: Any, encrypt: bool, **__: Any) -> Any:
        self.uploads.append(encrypt)
        self.room.encrypted = self.room.encrypted or self.turns
        return SimpleNamespace(content_uri="mxc://here/1"), {"key": {}} if encrypt else None

    async def _send(self, *_: Any, **__: Any) -> Any:
        self.sent.append(_)
        if self.lost:
            self.lost -= 1
            raise TimeoutError
        return SimpleNamespace(event_id="$1")


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    """A talk with Ann."""
    async with Database.open(blank(tmp_path / "hub.db"), clock := FakeClock()) as store:
        memory = Memory("@bot", store, clock)
        await memory.load("salt")
        yield Talk(memory, clock)


async def test_a_room_that_was_just_made_is_waited_for_until_its_encryption_is_told(talk: Talk) -> None:
    assert await talk.rooms.find(talk.client, ANN, ()) == ("!room", None)
    talk.client.rooms["!room"] = talk.room  # a sync in the midst of its making
    with pytest.raises(NotSent):
        await talk.sender.lock(talk.session, "!room", ())
    talk.room.encrypted = True
    await talk.sender.lock(talk.session, "!room", ())
    talk.room.encrypted = False
    talk.clock.advance(YOUNG_MS)
    with pytest.raises(Undeliverable, match="nothing is sent there in clear"):
        await talk.sender.lock(talk.session, "!room", ())


async def test_what_was_uploaded_in_clear_is_not_sent_to_a_room_that_is_encrypted_by_now(talk: Talk) -> None:
    talk.client.rooms["!room"] = talk.room
    talk.turns = True
    with pytest.raises(NotSent, match="encrypted since"):
        await talk.sender.speak(talk.session, ANN, Voice(b"OggS", 1.0))
    assert talk.sent == []
    await talk.sender.speak(talk.session, ANN, Voice(b"OggS", 1.0))
    assert talk.uploads == [False, True]
    assert "file" in talk.sent[0][2]


async def test_what_is_sent_into_a_thread_points_to_the_newest_there(talk: Talk) -> None:
    message = Outgoing(1, "matrix", f"{ANN}/$board", Reply("it follows"))
    assert talk.sender._answered("$board", message) is None
    talk.rooms.sent(f"{ANN}/$board", "!room", "$newest")
    assert talk.sender._answered("$board", message) == "$newest"


async def test_what_may_stand_in_a_room_is_sent_there_again_though_its_person_spoke_elsewhere_since(talk: Talk) -> None:
    other = SimpleNamespace(room_id="!other", encrypted=False, member_count=2, users=talk.room.users)
    talk.client.rooms |= {"!room": talk.room, "!other": other}
    await talk.rooms.met(talk.client, "@ann:here", talk.room)
    talk.lost = 1
    message = Outgoing(7, "matrix", ANN, Reply("it follows"))
    with pytest.raises(NotSent):
        await talk.sender.send(talk.session, message)
    await talk.rooms.met(talk.client, "@ann:here", other)
    await talk.sender.send(talk.session, message)
    await talk.sender.send(talk.session, Outgoing(8, "matrix", ANN, Reply("and this")))
    assert [one[0] for one in talk.sent] == ["!room", "!room", "!other"]
