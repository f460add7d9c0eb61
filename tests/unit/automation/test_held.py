"""What waited for the end of quiet hours: told to its end, and to nobody who lost their role or their link meanwhile."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from adapters.sqlite.writer import Database
from core.automation import notify
from core.automation.notify import Notices
from core.automation.quiet import Hours
from core.automation.topics import Notice, Topic
from core.chat import Caller, Reply, Role
from core.tokens import Identities
from tests.blank import blank
from tests.fakes import FakeClock, FakeIds

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from adapters.sqlite.unit_of_work import UnitOfWork
    from core.chat import Outgoing

ANN, BEN, CAT, GROUP = "telegram:5", "telegram:6", "telegram:7", "telegram:-100"


async def test_it_is_told_to_its_end_but_to_nobody_who_is_let_out_or_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "AT_ONCE", 2)
    clock = FakeClock()
    sent: list[Outgoing] = []
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        identities = Identities(store, FakeIds("x"), owners=(), reserved=lambda _: False)
        notices = Notices(store, clock, identities, None, lambda some: [one.reply for one in some], sent.append)

        def prepare(tx: UnitOfWork) -> None:
            for one in (BEN, CAT):
                tx.tokens.give(one, Role.OWNER, "", tx.now)
            for person, place in ((ANN, ANN), (BEN, CAT), (BEN, ANN), (BEN, BEN), (BEN, GROUP)):
                tx.notices.hold(person, place, Reply(f"for {person}"), tx.now)

        await store.write(prepare)
        for person in (ANN, BEN):
            assert await notices._look(person) is None
        assert [(one.conversation, one.reply.text) for one in sent] == [(one, f"for {BEN}") for one in (BEN, GROUP)]
        assert await store.read(lambda tx: tx.notices.waiting()) == {}


async def test_what_waited_for_an_identity_before_its_link_stays_its_own_and_what_came_for_its_account_does_not(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    sent: list[Outgoing] = []
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        identities = Identities(store, FakeIds("x"), owners=(), reserved=lambda _: False)
        notices = Notices(store, clock, identities, UTC, lambda some: [one.reply for one in some], sent.append)

        def link(tx: UnitOfWork) -> None:
            for one in (ANN, BEN):
                tx.tokens.give(one, Role.MEMBER, "", tx.now)
            tx.notices.keep_hours(BEN, Hours(0, 1439))
            tx.notices.hold(BEN, BEN, Reply("from before"), tx.now)
            notices.join(tx, BEN, ANN)
            tx.links.link(BEN, ANN, "", tx.now)
            tx.notices.hold(ANN, BEN, Reply("of the account"), tx.now)

        def unlink(tx: UnitOfWork) -> None:
            tx.links.unlink(BEN)
            notices.part(tx, BEN, ANN)

        await store.write(link)
        await identities.refresh()
        await notices.load()
        private = Caller(ANN, Role.MEMBER, private=True)
        assert (await notices.standing(private, ANN)).waiting == 2
        assert await notices._look(BEN) is not None, "the account's hours are its own"
        await store.write(unlink)
        for one in (ANN, BEN):
            await store.write(lambda tx, one=one: tx.notices.keep_hours(one, None))  # type: ignore[misc]
        await identities.refresh()
        await notices.load()
        assert (await notices.standing(private, ANN)).waiting == 1
        for one in (ANN, BEN):
            assert await notices._look(one) is None
        assert [(one.conversation, one.reply.text) for one in sent] == [(BEN, "from before")]
        assert await store.read(lambda tx: tx.notices.waiting()) == {}


async def test_an_owner_by_the_settings_is_a_person_of_their_own_whatever_link_they_had(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Database.open(blank(tmp_path / "hub.db"), clock) as store:
        identities = Identities(store, FakeIds("x"), owners=(BEN,), reserved=lambda _: False)
        notices = Notices(store, clock, identities, UTC, lambda _: [], lambda _: None)

        def prepare(tx: UnitOfWork) -> None:
            tx.tokens.give(ANN, Role.MEMBER, "", tx.now)
            tx.links.link(BEN, ANN, "", tx.now)
            tx.notices.keep_hours(ANN, Hours(0, 1439))

        await store.write(prepare)
        await identities.refresh()
        await notices.load()
        assert notices.person(Caller(BEN, Role.OWNER, private=True)) == BEN
        told = await store.write(lambda tx: notices.tell(tx, Notice(Topic.MONEY, Reply("his"), {BEN})))
        assert [one.conversation for one in told] == [BEN], "her quiet hours are not his"
