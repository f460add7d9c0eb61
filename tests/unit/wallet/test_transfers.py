"""Sats from one person of the hub to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.access import NotAllowed
from core.chat import Caller, Role
from core.events import Kind
from core.money import MAX_SATS, BadAmount, to_msat
from core.tokens import BadActor, Identities, NotAsYouWere
from core.wallet import limits
from core.wallet.ledger import KeyConflict, NotEnoughSats, user_account
from core.wallet.limits import Frozen, OverLimit
from core.wallet.wallet import NobodysWallet, OwnWallet, Wallet, move_all
from tests.fakes import FakeIds
from tests.unit.wallet.small_book import granted

if TYPE_CHECKING:
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database

ANN, BOB, TWIN = "telegram:1", "telegram:2", "matrix:@ann:example.org"
ME = Caller(ANN, Role.MEMBER, linked=frozenset({ANN, TWIN}))


@pytest.fixture
async def wallet(store: Database) -> Wallet:
    """Ann has 100 sats and a second identity, Bob none."""

    def work(tx: UnitOfWork) -> None:
        granted(tx, 100, ANN)
        for actor in (ANN, BOB):
            tx.tokens.give(actor, Role.MEMBER, "", tx.now)
        tx.links.link(TWIN, ANN, "", tx.now)

    await store.write(work)
    identities = Identities(store, FakeIds(), owners=("telegram:9",), reserved=bool)
    await identities.refresh()
    return Wallet(store, identities, simulated=True)


async def has(store: Database) -> list[int]:
    return await store.read(lambda tx: [tx.ledger.account(user_account(one)).posted // 1000 for one in (ANN, BOB)])


async def test_a_person_pays_a_person_once(store: Database, wallet: Wallet) -> None:
    heard: list[object] = []
    store.listen(lambda events: heard.extend((event.kind, dict(event.data)) for event in events))
    number = await wallet.transfer(ME, BOB, 30_000, "k")
    assert await wallet.transfer(ME, BOB, 30_000, "k") == number
    assert await has(store) == [70, 30]
    facts = {"from": ANN, "to": BOB, "amount_sats": 30, "entry": number, "by": ANN}
    assert heard == [(Kind.SATS_TRANSFERRED, facts)]
    (line,) = await wallet.history(user_account(BOB), 5)
    assert (line.kind, line.amount, line.reason) == ("transfer", 30_000, f"{ANN} to {BOB}")
    assert (await store.read(lambda tx: tx.books.prove())).entries == 2


async def test_all_owners_have_one_wallet(store: Database, wallet: Wallet) -> None:
    await wallet.transfer(ME, "telegram:9", 30_000, "k")
    assert await store.read(lambda tx: tx.ledger.account(user_account("console:owner")).posted) == 30_000


@pytest.mark.parametrize("other", [(BOB, 31_000), (TWIN, 30_000)])
async def test_the_same_key_pays_nobody_else_and_nothing_more(
    store: Database, wallet: Wallet, other: tuple[str, int]
) -> None:
    await wallet.transfer(ME, BOB, 30_000, "k")
    with pytest.raises(KeyConflict):
        await wallet.transfer(ME, *other, "k")
    assert await has(store) == [70, 30]


@pytest.mark.parametrize(
    ("caller", "payee", "msat", "refused"),
    [
        (ME, ANN, 5000, OwnWallet), (ME, TWIN, 5000, OwnWallet), (ME, "telegram:666", 5000, NobodysWallet),
        (ME, "worker:drone", 5000, NobodysWallet), (ME, "quill", 5000, BadActor), (ME, BOB, 0, BadAmount),
        (ME, BOB, -5000, BadAmount), (ME, BOB, to_msat(MAX_SATS) + 1, BadAmount), (ME, BOB, 100_001, NotEnoughSats),
        (Caller("telegram:666", Role.GUEST), BOB, 5000, NotAllowed),
        (Caller("console:owner", Role.MEMBER, acting_for=ANN), BOB, 5000, NotAllowed),
        (Caller(BOB, Role.PAYER), ANN, 5000, NotAsYouWere), (Caller(BOB, Role.MEMBER), ANN, 5000, NotEnoughSats),
    ],
)  # fmt: skip
async def test_what_is_refused_changes_nothing(
    store: Database, wallet: Wallet, caller: Caller, payee: str, msat: int, refused: type[Exception]
) -> None:
    with pytest.raises(refused):
        await wallet.transfer(caller, payee, msat, "k")
    assert await has(store) == [100, 0]
    assert await store.read(lambda tx: tx.limits.counted("transfer:k")) is None
    assert await wallet.transfer(ME, BOB, 5000, "k"), "the key is still good"


async def test_limits_and_the_freeze_hold_for_it(store: Database, wallet: Wallet) -> None:
    await store.write(lambda tx: tx.limits.put_rule("day", 50_000))
    with pytest.raises(OverLimit):
        await wallet.transfer(ME, BOB, 51_000, "k")
    await wallet.transfer(ME, BOB, 50_000, "k")
    await store.write(lambda tx: tx.limits.freeze(ANN, tx.now))
    with pytest.raises(Frozen):
        await wallet.transfer(ME, BOB, 1000, "other")
    assert await wallet.transfer(ME, BOB, 50_000, "k"), "what was paid is told as it was"
    with pytest.raises(Frozen):
        await store.write(
            lambda tx: move_all(
                tx, key="l", source=user_account(ANN), target=user_account(BOB), actor=ANN, reason="linked"
            )
        )
    assert await store.write(lambda tx: limits.fit(tx, limits.Spend("user:x", 0, limits.Path.TASK, "t"))) == 0
