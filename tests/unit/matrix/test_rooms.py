"""Where people are reached: never in clear once they were in an encrypted room, and nothing that comes in moves a thread."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from adapters.matrix.memory import Memory
from adapters.matrix.rooms import Rooms
from adapters.sqlite.writer import Database
from core.chat import NotSent
from tests.blank import blank
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANN, THREAD = "matrix:@ann:here", "matrix:@ann:here/$board"


def _room(name: str, *, encrypted: bool) -> Any:
    return SimpleNamespace(room_id=name, encrypted=encrypted, member_count=2, users={"@ann:here": None})


def _client(*rooms: Any) -> Any:
    return SimpleNamespace(rooms={room.room_id: room for room in rooms})


SEALED, PLAIN, OTHER = _room("!sealed", encrypted=True), _room("!plain", encrypted=False), _room("!x", encrypted=False)


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    """What is remembered of a new account."""
    async with Database.open(blank(tmp_path / "hub.db"), clock := FakeClock()) as store:
        yield Memory("@bot", store, clock)


async def _after_restart(memory: Memory) -> Rooms:
    await memory.load("salt")
    return Rooms(memory, encrypts=True)


async def test_who_was_in_an_encrypted_room_is_not_reached_in_a_plain_one_after_a_restart(memory: Memory) -> None:
    rooms = await _after_restart(memory)
    await rooms.met(_client(PLAIN), "@ann:here", PLAIN)
    assert await rooms.find(_client(PLAIN), ANN, ()) == ("!plain", None)
    await rooms.met(_client(PLAIN, SEALED), "@ann:here", SEALED)
    rooms = await _after_restart(memory)
    client = _client(PLAIN, SEALED)
    await rooms.met(client, "@ann:here", PLAIN)
    rooms.heard(client, THREAD, "!plain", "$later")
    assert await rooms.find(client, ANN, ()) == ("!sealed", None)
    assert await rooms.find(client, THREAD, ()) == ("!sealed", "$board")
    rooms.sent(ANN, "!plain", "$of-before")
    with pytest.raises(NotSent, match="plain room"):
        await rooms.holding(client, ANN, "$of-before")


async def test_whoever_was_only_written_to_in_an_encrypted_room_counts_too(memory: Memory) -> None:
    rooms = await _after_restart(memory)
    assert await rooms.find(_client(SEALED, PLAIN), ANN, ()) == ("!sealed", None)
    made: list[Any] = []

    async def create(**how: Any) -> Any:
        made.append(how["initial_state"])
        return SimpleNamespace(room_id="!made")

    rooms = await _after_restart(memory)
    client = _client(PLAIN)
    client.room_create = create
    assert await rooms.find(client, ANN, ()) == ("!made", None)
    client.rooms["!made"] = _room("!made", encrypted=False)  # the server made a plain one of it
    assert await rooms.find(client, ANN, ()) == ("!made", None)
    assert len(made) == 1, "no room is made again and again; what is sent to this one is refused"


async def test_one_room_is_made_for_somebody_though_two_messages_look_for_it_at_once(memory: Memory) -> None:
    made: list[str] = []

    async def create(**_: Any) -> Any:
        made.append(f"!made{len(made)}")
        await asyncio.sleep(0)  # noqa: TID251 - the server takes a moment
        return SimpleNamespace(room_id=made[-1])

    rooms, client = await _after_restart(memory), _client()
    client.room_create = create
    found = await asyncio.gather(rooms.find(client, ANN, ()), rooms.find(client, THREAD, ()))
    assert [room for room, _ in found] == made * 2
    assert len(made) == 1


async def test_without_encryption_whoever_speaks_in_a_plain_room_is_answered_there(memory: Memory) -> None:
    rooms, client = Rooms(memory, encrypts=False), _client(PLAIN, SEALED)
    assert await rooms.find(client, ANN, ()) == ("!sealed", None)  # where nothing can be sent
    await rooms.met(client, "@ann:here", PLAIN)
    assert await rooms.find(client, ANN, ()) == ("!plain", None)
    await rooms.met(client, "@ann:here", SEALED)
    assert await rooms.find(client, ANN, ()) == ("!plain", None)


async def test_who_was_reached_in_a_room_that_is_encrypted_by_now_stays_there(memory: Memory) -> None:
    rooms, turned = await _after_restart(memory), _room("!turned", encrypted=False)
    client = _client(turned, PLAIN)
    await rooms.met(client, "@ann:here", turned)
    turned.encrypted = True
    await rooms.met(client, "@ann:here", PLAIN)
    assert await rooms.find(client, ANN, ()) == ("!turned", None)


async def test_for_an_edit_no_room_is_made(memory: Memory) -> None:
    async def create(**_: Any) -> Any:
        raise AssertionError

    rooms, client = await _after_restart(memory), _client()
    client.room_create = create
    with pytest.raises(NotSent):
        await rooms.holding(client, ANN, "$of-before")


async def test_an_event_of_another_room_moves_no_thread(memory: Memory) -> None:
    rooms, client = await _after_restart(memory), _client(OTHER, PLAIN)
    rooms.sent(ANN, "!plain", "$board")
    rooms.heard(client, THREAD, "!x", "$forged")
    assert await rooms.find(client, THREAD, ()) == ("!plain", "$board")
    assert await rooms.holding(client, ANN, "$board") == "!plain"
    assert rooms.newest(THREAD) is None
    rooms.heard(client, "matrix:@ann:here/$own", "!plain", "$answer")
    rooms.heard(client, "matrix:@ann:here/$own", "!x", "$forged")
    assert rooms.newest("matrix:@ann:here/$own") == "$answer"
