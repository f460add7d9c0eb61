"""Encrypted rooms, seen by the people in them and by whoever looks at the wire: the real surface against the fake homeserver."""

from __future__ import annotations

import itertools
import sqlite3
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from adapters.matrix.signing import claims
from config.settings import Matrix
from core.chat import File, NotSent, Outgoing, Reply, Role
from core.voice.hearing import Voice
from tests.depth import first
from tests.matrix_server import BOT, PASSWORD, MatrixServer
from tests.scenario.bot import hub, settings
from tests.scenario.test_matrix import BOB, EVE, OLGA, Matrixes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.matrix_server import Room


@pytest.fixture
async def server() -> AsyncIterator[MatrixServer]:
    """A homeserver where Olga and Eve have keys."""
    async with MatrixServer() as server:
        server.meet(OLGA)
        server.meet(EVE, seed=2)
        yield server


def _let_in(user: str) -> Any:
    return lambda tx: tx.tokens.give(f"matrix:{user}", Role.OPERATOR, user, tx.now)


@asynccontextmanager
async def on_matrix(folder: Path, server: MatrixServer, **how: Any) -> AsyncIterator[Matrixes]:
    """A hub whose owner is the console's alone; Olga is a member, and so is Eve, who is in the group."""
    olga = server.rooms.get("!olga:localhost") or server.room("Olga", [OLGA], encrypted=True)
    group = server.rooms.get("!group:localhost") or server.room("Group", [OLGA, EVE], encrypted=True)
    given = {"homeserver": server.url, "user": BOT, "password": SecretStr(PASSWORD), "rooms": group.id}
    found = settings(folder).model_copy(update={"matrix": Matrix(**given | how.pop("matrix", {}))})
    async with hub(folder, found=found, **how) as bot:
        await bot.app.store.write(_let_in(OLGA))
        await bot.app.store.write(_let_in(EVE))
        await bot.app.hub.identities.refresh()
        talk = Matrixes(server, bot, olga, group)
        await bot.see(lambda: surface_of(talk)._session, "Matrix up", pace=0)
        yield talk


def surface_of(talk: Matrixes) -> Any:
    """The surface, for what cannot be seen from outside."""
    return next(one for one in talk.bot.app.health.surfaces if one.name == "matrix")


@pytest.mark.long
async def test_nothing_that_is_said_in_an_encrypted_room_is_on_the_wire(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        (said,) = [event for _, event in talk.olga.events if event["sender"] == BOT and "state_key" not in event]
        assert said["type"] == "m.room.encrypted"
        assert "post" not in str(said)
    for path in (tmp_path / "data" / "matrix").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "data" / "matrix").stat().st_mode) == 0o700


async def test_a_room_that_was_encrypted_once_is_never_written_to_in_clear(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
    talk.olga.events[:] = [one for one in talk.olga.events if one[1]["type"] != "m.room.encryption"]
    talk.olga.encrypted = False
    (tmp_path / "data" / "matrix" / "keys.db").unlink()  # it remembers too
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help tasks")
        await talk.bot.see(lambda: talk.bot.rows("SELECT state FROM outgoing ORDER BY id") == [("sent",), ("dead",)])
        assert "m.room.message" not in [event["type"] for _, event in talk.olga.events if event["sender"] == BOT]
        assert talk.bot.rows("SELECT body ->> 'text' FROM outgoing WHERE state = 'dead'")[0][0].startswith(
            "I could not read"
        )


@pytest.mark.long
async def test_what_cannot_be_believed_moves_nobody_to_another_room(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        other = server.room("Other", [OLGA], encrypted=True)
        server.post(other, OLGA, "m.room.message", {"msgtype": "m.text", "body": "!balance"}, clear=True)
        await talk.told(talk.olga, "I could not read")
        assert server.messages(other) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("encryption", "encrypted"), [("off", True), ("required", False)], ids=["off-encrypted", "required-plain"]
)
async def test_it_writes_only_where_the_settings_let_it(
    tmp_path: Path, server: MatrixServer, encryption: str, encrypted: bool
) -> None:
    server.room("Olga", [OLGA], encrypted=encrypted)
    async with on_matrix(tmp_path, server, matrix={"encryption": encryption}) as talk:
        server.say(talk.olga, OLGA, "!whoami")
        words = Reply("hello")
        row = await talk.bot.app.store.write(
            lambda tx: tx.messages.queue("matrix", f"matrix:{OLGA}", words, None, tx.now)
        )
        talk.bot.app.delivery.send(row)
        await talk.bot.see(lambda: talk.bot.rows("SELECT state FROM outgoing") == [("dead",)])
        assert server.messages(talk.olga) == []
        assert talk.bot.rows("SELECT count(*) FROM inbound WHERE surface = 'matrix'") == [(0,)]


@pytest.mark.long
async def test_a_button_that_is_pressed_while_the_hub_is_away_is_known_when_it_comes_back(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "have quill write a letter")
        asked = await talk.told(talk.olga, "Shall I do this?")
    server.react(talk.olga, OLGA, asked.id, "No")
    async with on_matrix(tmp_path, server) as talk:
        await talk.told(talk.olga, "Nothing was done.")


async def test_a_message_whose_key_comes_later_is_answered_once(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        mail, sealed = server.peers[OLGA].sealed(
            talk.olga.id, BOT, "m.room.message", {"msgtype": "m.text", "body": "!help task"}
        )
        server.post(talk.olga, OLGA, "m.room.encrypted", sealed)
        server.say(talk.group, EVE, "!help tasks")
        await talk.told(talk.group, "/tasks")
        assert server.messages(talk.olga) == []
        (((whose, device), content),) = mail.items()
        server.mail(OLGA, whose, device, content)
        await talk.told(talk.olga, "post a task")
        assert len(server.messages(talk.olga)) == 1


@pytest.mark.long
async def test_a_message_whose_key_never_comes_is_answered_once_with_the_cause_over_restarts_and_hours(
    tmp_path: Path, server: MatrixServer
) -> None:
    def unreadable(room: Room) -> None:
        _, sealed = server.peers[OLGA].sealed(room.id, BOT, "m.room.message", {"msgtype": "m.text", "body": "!balance"})
        server.post(room, OLGA, "m.room.encrypted", sealed)

    async with on_matrix(tmp_path, server) as talk:
        for _ in range(3):
            unreadable(talk.olga)
        await talk.told(talk.olga, "I could not read what you wrote: its key never came to me", pace=1)
    async with on_matrix(tmp_path, server) as talk:
        talk.bot.pass_time(3600)
        unreadable(talk.olga)
        await talk.bot.see(lambda: surface_of(talk)._ear.waiting, pace=0)
        await talk.bot.see(lambda: not surface_of(talk)._ear.waiting, pace=1)
        server.peers[OLGA].forget(talk.olga.id)
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        assert [one.text.partition(":")[0].partition(" ")[0] for one in server.messages(talk.olga)] == ["I", "/task"]


@pytest.mark.long
async def test_who_makes_up_keys_is_answered_five_times_an_hour(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        for _ in range(7):
            server.peers[OLGA].forget(talk.olga.id)
            content = server.peers[OLGA].sealed(
                talk.olga.id, BOT, "m.room.message", {"msgtype": "m.text", "body": "!help"}
            )[1]
            server.post(talk.olga, OLGA, "m.room.encrypted", content)
        await talk.bot.see(lambda: len(surface_of(talk)._ear.waiting) == 7, pace=0)
        await talk.bot.see(lambda: not surface_of(talk)._ear.waiting, pace=1)
        server.peers[OLGA].forget(talk.olga.id)
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        assert sum(one.text.startswith("I could not read") for one in server.messages(talk.olga)) == 5


@pytest.mark.long
async def test_a_key_that_could_not_be_sent_keeps_nobody_from_reading(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.keys.deaf = 2
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        assert server.keys.deaf == 0


async def test_what_came_in_clear_or_from_anothers_session_is_not_acted_on(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.post(talk.olga, OLGA, "m.room.message", {"msgtype": "m.text", "body": "!task a"}, clear=True)
        await talk.told(talk.olga, "it came in clear")
        mail, sealed = server.peers[EVE].sealed(
            talk.group.id, BOT, "m.room.message", {"msgtype": "m.text", "body": "!task b"}
        )
        (((whose, device), content),) = mail.items()
        server.mail(EVE, whose, device, content)
        server.post(talk.group, OLGA, "m.room.encrypted", sealed)
        await talk.told(talk.group, "the session that wrote it is none of yours")
        assert talk.bot.rows("SELECT count(*) FROM task") == [(0,)]


@pytest.mark.long
async def test_who_comes_with_another_identity_may_talk_and_not_spend_and_the_owner_is_told_once(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!spawn quill")
        await talk.told(talk.olga, "quill-2")
        server.peers[OLGA].identify(9)
        server.changed(OLGA)
        for name in ("echo", "quill"):
            server.say(talk.olga, OLGA, f"!spawn {name}")
        await talk.told(talk.olga, "your Matrix identity is not the one that I know")
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        told = await talk.bot.until(text=f"{OLGA} has another Matrix identity")
        assert told["data"]["surface"] == "matrix"
        assert [one["name"] for one in (await talk.bot.data("/agents"))["agents"]] == ["echo", "quill", "quill-2"]
        assert talk.bot.rows("SELECT count(*) FROM outgoing WHERE surface = 'console' AND cause IS NULL") == [(1,)]


@pytest.mark.long
async def test_a_session_that_its_owner_did_not_sign_may_not_spend(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        server.meet(OLGA, device="STOLEN", seed=None)
        server.say(talk.olga, OLGA, "!task write a poem")
        await talk.told(talk.olga, "not signed by your identity")
        assert talk.bot.rows("SELECT count(*) FROM task") == [(0,)]
        server.say(talk.olga, OLGA, "!link")
        refused = await talk.told(talk.olga, "You may not join an account with its code")
        assert "not signed by your identity" in refused.text
        assert talk.bot.rows("SELECT count(*) FROM link_code") == [(0,)]


@pytest.mark.long
async def test_who_has_no_cross_signing_is_known_by_the_first_session_and_may_set_it_up(
    tmp_path: Path, server: MatrixServer
) -> None:
    peer = server.meet(BOB, seed=None)
    async with on_matrix(tmp_path, server) as talk:
        await talk.bot.app.store.write(_let_in(BOB))
        await talk.bot.app.hub.identities.refresh()
        home = server.room("Bob", [BOB], encrypted=True)
        server.say(home, BOB, "!spawn echo")
        await talk.told(home, "echo-2")
        peer.identify(5)
        server.changed(BOB)
        server.say(home, BOB, "!spawn echo")
        await talk.told(home, "echo-3")
        server.meet(BOB, device="OTHER", seed=None)
        server.say(home, BOB, "!spawn echo")
        await talk.told(home, "not signed by your identity")
        identity, devices, _ = talk.bot.rows("SELECT identity, devices, verified FROM pin WHERE person = ?", BOB)[0]
        assert identity == claims(server.keys.query({BOB: []}), BOB).identity
        assert devices == "[]"


@pytest.mark.long
@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
async def test_where_only_the_verified_may_spend_nobody_else_does(
    tmp_path: Path, server: MatrixServer, encrypted: bool
) -> None:
    server.room("Olga", [OLGA], encrypted=encrypted)
    async with on_matrix(tmp_path, server, matrix={"trust": "verified"}) as talk:
        server.say(talk.olga, OLGA, "!task write a poem")
        await talk.told(talk.olga, "we have not verified each other" if encrypted else "this room is not encrypted")
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        assert talk.bot.rows("SELECT count(*) FROM task") == [(0,)]
        if not encrypted:
            return
        identity = claims(server.keys.query({OLGA: []}), OLGA).identity
        await surface_of(talk)._session.encryption.verified(OLGA, identity)
        assert BOT in server.keys.identities[OLGA]["master_key"]["signatures"], "and others may know"
        server.say(talk.olga, OLGA, "!spawn echo")
        await talk.told(talk.olga, "echo-2")
        server.peers[OLGA].identify(8)
        server.changed(OLGA)
        server.say(talk.olga, OLGA, "!spawn echo")
        await talk.told(talk.olga, "your Matrix identity is not the one that I know")


@pytest.mark.long
async def test_its_device_is_signed_and_a_lost_store_makes_a_new_one_of_the_same_identity(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        await talk.bot.see((tmp_path / "data" / "matrix" / "room-keys.txt").exists, "the rooms' keys exported")
        first = claims(server.keys.query({BOT: []}), BOT)
        assert first.vouched == first.devices == first.endorsing != frozenset()
    logins = server.logins
    async with on_matrix(tmp_path, server):
        assert claims(server.keys.query({BOT: []}), BOT) == first
        assert server.logins == logins + 1
    (tmp_path / "data" / "matrix" / "keys.db").unlink()
    async with on_matrix(tmp_path, server) as talk:
        again = claims(server.keys.query({BOT: []}), BOT)
        assert (again.identity, again.vouched) == (first.identity, again.devices)
        assert again.devices.isdisjoint(first.devices)
        assert server.devices == {"TIMMY", *server.keys.devices[BOT]}
        old = next(
            event for _, event in talk.olga.events if event["type"] == "m.room.encrypted" and event["sender"] == OLGA
        )
        found = await surface_of(talk)._session.client.room_get_event(talk.olga.id, old["event_id"])
        assert found.event.body == "!help task", "the restored key opens it"
        server.peers[OLGA].forget(talk.olga.id)
        server.say(talk.olga, OLGA, "!help tasks")
        await talk.told(talk.olga, "/tasks [STATUS]")


async def test_a_store_that_is_lost_and_a_token_that_is_bound_to_it_say_what_to_do(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server):
        token = server.token
    (tmp_path / "data" / "matrix" / "keys.db").unlink()
    given = {"password": None, "access_token": SecretStr(token)}
    olga = server.rooms["!olga:localhost"]
    matrix = Matrix(homeserver=server.url, user=BOT, **given)
    async with hub(tmp_path, found=settings(tmp_path).model_copy(update={"matrix": matrix})) as bot:
        await bot.see(lambda: "Set a password instead" in str(bot.app.health.parts), "the fault")
    assert olga.members[BOT] == "join"


@pytest.mark.long
async def test_an_account_with_the_identity_of_another_client_keeps_it(tmp_path: Path, server: MatrixServer) -> None:
    server.meet(BOT, seed=7)
    del server.peers[BOT]
    before = server.keys.identities[BOT]
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        assert "cross-signing keys from another client" in surface_of(talk)._session.encryption.fault
    assert server.keys.identities[BOT] == before


@pytest.mark.long
async def test_a_new_person_who_joins_can_read_what_is_said_next(tmp_path: Path, server: MatrixServer) -> None:
    server.meet(BOB, seed=3)
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.group, OLGA, "!help task")
        await talk.told(talk.group, "post a task")
        server.join(talk.group, BOB)
        server.say(talk.group, OLGA, "!help tasks")
        await talk.told(talk.group, "/tasks [STATUS]")
        last = [event for _, event in talk.group.events if event["sender"] == BOT][-1]
        assert server.peers[BOB].opened(talk.group.id, last) is not None


# What one stranger sends stops nobody ----------------------------------------------------------------------------------


async def _still_there(talk: Matrixes, words: str = "!help task") -> None:
    """The surface hears and answers, and was not started again."""
    surface = surface_of(talk)
    before = surface._session
    talk.server.say(talk.olga, OLGA, words)
    await talk.told(talk.olga, "post a task")
    assert surface._session is before


@pytest.mark.long
async def test_a_message_to_its_device_that_is_none(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        (device,) = server.keys.devices[BOT].values()
        key = device["keys"]["curve25519:TIMMY"]
        for kind, body in itertools.product((0, 1, "x"), ("!!", "AAAA", "ä", "", None, 7)):
            content = {
                "algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "A" * 43,
                "ciphertext": {key: {"type": kind, "body": body}},
            }  # fmt: skip
            server.mail("@evil:elsewhere", BOT, "TIMMY", content)
        await _still_there(talk)


@pytest.mark.long
async def test_an_encrypted_event_that_is_none(tmp_path: Path, server: MatrixServer) -> None:
    broken: list[dict[str, Any]] = [
        {"sender_key": ""}, {"session_id": ""}, {"ciphertext": "!!"}, {"ciphertext": 5}, {"device_id": None},
        {"algorithm": "rot13"},
    ]  # fmt: skip
    async with on_matrix(tmp_path, server) as talk:
        said = {"msgtype": "m.text", "body": "!task a"}
        mail, sealed = server.peers[OLGA].sealed(talk.group.id, BOT, "m.room.message", said)
        for (whose, device), content in mail.items():
            server.mail(OLGA, whose, device, content)
        for part in broken:
            server.post(talk.group, OLGA, "m.room.encrypted", sealed | part)
        await _still_there(talk)
        assert talk.bot.rows("SELECT count(*) FROM task") == [(0,)]


@pytest.mark.long
async def test_state_that_is_encrypted_is_none(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        peer = server.peers[EVE]
        gone = {"content": {"membership": "leave"}, "type": "m.room.member", "state_key": OLGA}
        mail, _ = peer.sealed(talk.group.id, BOT, "m.room.message", {"msgtype": "m.text", "body": "hello"})
        for (whose, device), content in mail.items():
            server.mail(EVE, whose, device, content)
        server.post(talk.group, EVE, "m.room.encrypted", peer.olm.group_encrypt(talk.group.id, gone))
        await _still_there(talk)
        assert set(surface_of(talk)._session.client.rooms[talk.group.id].users) == {OLGA, EVE, BOT}
        server.say(talk.group, OLGA, "!balance")
        await talk.told(talk.group, "I answered you in private")
        assert "sats free" not in str([one.text for one in server.messages(talk.group)])


@pytest.mark.long
async def test_an_old_message_that_comes_again_under_another_name_is_not_carried_out(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        said = server.say(talk.olga, OLGA, "!spawn echo")
        await talk.told(talk.olga, "echo-2")
    async with on_matrix(tmp_path, server) as talk:
        server.post(talk.olga, OLGA, said["type"], said["content"])
        await _still_there(talk)
        assert [one["name"] for one in (await talk.bot.data("/agents"))["agents"]] == ["echo", "echo-2", "quill"]


@pytest.mark.long
async def test_a_reaction_to_nothing(tmp_path: Path, server: MatrixServer) -> None:
    async with on_matrix(tmp_path, server) as talk:
        for target in ("", "no event", "$" + "x" * 5000):
            server.react(talk.group, EVE, target, "Approve")
        await _still_there(talk)


@pytest.mark.long
async def test_a_device_that_is_none(tmp_path: Path, server: MatrixServer) -> None:
    devices: list[Any] = [
        5, {}, {"algorithms": 1}, {"user_id": OLGA, "device_id": "EVIL", "keys": {"ed25519:EVIL": "AAAA"}, "signatures": 5},
        {"user_id": OLGA, "device_id": "EVIL", "keys": {"ed25519:EVIL": "A" * 43, "curve25519:EVIL": 7}, "unsigned": 3},
    ]  # fmt: skip
    async with on_matrix(tmp_path, server) as talk:
        for number, device in enumerate(devices):
            server.keys.devices[OLGA]["EVIL"] = device
            server.changed(OLGA)
            before = len(server.messages(talk.olga))
            server.say(talk.olga, OLGA, f"!show {number + 1}")
            await talk.told(talk.olga, f"There is no task T-{number + 1}")
            assert len(server.messages(talk.olga)) == before + 1
        await _still_there(talk)


@pytest.mark.long
@pytest.mark.parametrize(
    "key", first(1, [{"signed_curve25519:AAA": {"key": "AAAA"}}, {}, {"signed_curve25519:AAA": 5}])
)
async def test_a_one_time_key_that_is_none(tmp_path: Path, server: MatrixServer, key: Any) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.meet(BOB, seed=4)
        server.join(talk.group, BOB)
        server.keys.spare[BOB, "PHONE"] = key
        server.say(talk.group, OLGA, "!help task")
        await talk.told(talk.group, "post a task")


@pytest.mark.long
async def test_a_key_server_that_does_not_answer_for_somebody_makes_nobody_another(
    tmp_path: Path, server: MatrixServer
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!spawn echo")
        await talk.told(talk.olga, "echo-2")
        kept, identity = server.keys.devices.pop(OLGA), server.keys.identities.pop(OLGA)
        server.keys.away.add(OLGA)
        server.changed(OLGA)
        server.say(talk.olga, OLGA, "!spawn echo")
        await talk.told(talk.olga, "echo-3")
        server.keys.away.clear()
        server.keys.devices[OLGA], server.keys.identities[OLGA] = kept, identity
        await _still_there(talk)


@pytest.mark.long
async def test_what_was_asked_in_an_encrypted_room_is_not_answered_in_a_plain_one(
    tmp_path: Path, server: MatrixServer
) -> None:
    plain = server.room("Aplain", [OLGA])
    async with on_matrix(tmp_path, server) as talk:
        server.say(talk.olga, OLGA, "!help task")
        await talk.told(talk.olga, "post a task")
        server.say(plain, OLGA, "!whoami")
        await talk.told(talk.olga, f"matrix:{OLGA}")
    async with on_matrix(tmp_path, server) as talk:
        row = await talk.bot.app.store.write(
            lambda tx: tx.messages.queue("matrix", f"matrix:{OLGA}", Reply("SECRET"), None, tx.now)
        )
        talk.bot.app.delivery.send(row)
        await talk.told(talk.olga, "SECRET")
        assert server.messages(plain) == []


@pytest.mark.long
@pytest.mark.parametrize("spoken", [True, False], ids=["voice", "file"])
async def test_whether_a_file_is_encrypted_is_decided_once_its_room_is_known(
    tmp_path: Path, server: MatrixServer, spoken: bool
) -> None:
    (tmp_path / "note.txt").write_text("a secret")
    async with on_matrix(tmp_path, server) as talk:
        server.silent = True
        surface, room = surface_of(talk), server.room("New", [OLGA, EVE], encrypted=True)
        where, file = f"matrix:{room.id}", File("note.txt", str(tmp_path / "note.txt"))

        async def give() -> None:
            if spoken:
                await surface.speak(where, Voice(b"a secret", 1000))
            else:
                await surface.send(Outgoing(7, "matrix", where, Reply("", files=(file,))))

        with pytest.raises(NotSent, match="still unknown"):
            await give()
        assert not any("/media/" in path and path.endswith("/upload") for path in server.asked), (
            "nothing is uploaded in clear"
        )
        server.silent = False
        server.say(room, OLGA, "hello")
        await talk.bot.see(lambda: room.id in surface._session.client.rooms, "the room", pace=0)
        await give()
        (said,) = server.messages(room)
        assert "url" not in said.content
        assert server.file(said.content) == b"a secret"


@pytest.mark.long
@pytest.mark.parametrize("known", [False, True])
async def test_what_comes_while_another_program_holds_the_keys_is_read_once_it_does_not(
    tmp_path: Path, server: MatrixServer, caplog: pytest.LogCaptureFixture, known: bool
) -> None:
    async with on_matrix(tmp_path, server) as talk:
        if known:
            server.say(talk.olga, OLGA, "!help tasks")
            await talk.told(talk.olga, "/tasks")
        held = sqlite3.connect(tmp_path / "data" / "matrix" / "keys.db", isolation_level=None)
        held.execute("BEGIN EXCLUSIVE")
        if known:  # the next message comes with a new key
            server.peers[OLGA].forget(talk.olga.id)
        server.say(talk.olga, OLGA, "!help task")
        await talk.bot.see(lambda: "locked" in caplog.text or "from device to device" in caplog.text)
        held.close()
        await talk.told(talk.olga, "post a task")
