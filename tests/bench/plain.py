"""The reference of the durable lives: plain sqlite3 on one thread, prepared SQL, nothing read and nothing decided.

It knows beforehand how every life goes and writes the rows that the coordinator would leave, by the same schema, with the
same triggers and hash chain; `lives.py` compares the two databases row by row.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import time
from typing import TYPE_CHECKING

from core.wallet.ledger import GENESIS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

OWNER = "console:owner"
ACCOUNT = f"user:{OWNER}"
AGENTS = ("ann", "bea", "cyd", "dee", "eve", "fay")
BUDGET = 100_000
DAY = 86_400_000
WINDOW = 5_000
LEASE = 60_000
ODDS = '{"ann":0.1625,"bea":0.1625,"cyd":0.1625,"dee":0.1625,"eve":0.1625,"fay":0.1875}'
KNOWN = "of each agent some numbers" * 84
"""As long as what is written of a field."""

_json = json.JSONEncoder(separators=(",", ":")).encode


def words(number: int) -> str:
    """What task `number` asks for."""
    return f"count the words of page {number}"


def price_of(number: int, place: int) -> int:
    """What the agent at `place` asks for task `number`, msat: another agent is the cheapest each time."""
    return (20 + (number + place) % len(AGENTS)) * 1000


def score_of(price: int, settled: int) -> int:
    """The published rule for an offer of fit 1000 and no eta by an agent of one field, while nothing fails or fades."""
    everywhere = (settled + 4) * 1000 // (settled + 5)
    trust = min(1000, (settled * 1000 + 5 * everywhere) // (settled + 5) + 60 // (1 + settled))
    return price + price * (1000 - trust) // 2000


def _seal(hold: int, task: int, state: str, at: int) -> bytes:
    held = _json((hold, ACCOUNT, f"escrow:{task}", BUDGET, task, state, None, at))
    return hashlib.sha256(held.encode()).digest()


_APPLIED = "INSERT INTO applied (key, result, at) VALUES (?, ?, ?)"
_HOLD = "INSERT INTO hold (id, account, target, amount, task, at, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"
_TASK = (
    "INSERT INTO task (id, requester, account, conversation, description, status, budget, hold, pick, attempt, attempts,"
    " posted_at, deadline, due) VALUES (?, ?, ?, ?, ?, 'open', ?, ?, 'auto', 1, 3, ?, ?, ?)"
)
_EVENT = "INSERT INTO event (kind, task, agent, at, data) VALUES (?, ?, ?, ?, ?)"
_BIDDING = "UPDATE task SET status = 'bidding', closes_at = ?, due = ? WHERE id = ?"
_BID = (
    "INSERT INTO bid (task, attempt, agent, price, eta, note, fit, score, at) VALUES (?, 1, ?, ?, NULL, '', 1000, ?, ?)"
)
_SPEND = "UPDATE hold SET state = 'posted', hash = ? WHERE id = ?"
_COUNT = "INSERT INTO spend (key, scope, account, path, asked, amount, at) VALUES (?, ?, ?, 'task', ?, ?, ?)"
_COUNTED = "UPDATE spend SET amount = ? WHERE key = ?"
_TXN = "INSERT INTO txn (id, key, request, kind, task, actor, reason, at, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_POSTING = "INSERT INTO posting (txn, account, amount) VALUES (?, ?, ?)"
_ESCROW = "INSERT INTO account (name, kind, floor) VALUES (?, 'liability', 0)"
_AWARDED = (
    "UPDATE task SET status = 'awarded', hold = NULL, closes_at = NULL, agent = ?, price = ?, lease = ?, lease_until = ?,"
    " due = ?, field = 'counting', awarded_at = ? WHERE id = ?"
)
_DELIVERED = (
    "UPDATE task SET status = 'delivered', result = ?, review_until = ?, lease_until = NULL, due = ? WHERE id = ?"
)
_REPUTATION = (
    "INSERT INTO reputation VALUES (?, 'counting', 1, 0, ?, 0, 1000, 0, ?) ON CONFLICT (agent, field) DO UPDATE SET"
    " settled = settled + 1, earned = earned + excluded.earned, good = good + 1000, at = excluded.at"
)
_FORECAST = (
    "INSERT INTO forecast (task, field, odds, done, price_low, price_high, took_low, took_high)"
    " VALUES (?, 'counting', ?, 0.99, 20000, 25000, 2, 9)"
)
_KNOWN = "INSERT OR REPLACE INTO spark_field VALUES ('counting', ?)"
_CURSOR = "UPDATE cursor SET event = (SELECT max(id) FROM event) WHERE handler = 'spark'"
_SETTLED = "UPDATE task SET status = 'settled', review_until = NULL, ended_at = ?, due = NULL WHERE id = ?"


class PlainWriter:
    """Writes lives into an open database of the hub; it begins and commits as often as it is told to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._many = connection.executemany
        number, head = connection.execute("SELECT id, hash FROM txn ORDER BY id DESC LIMIT 1").fetchone() or (
            0,
            GENESIS,
        )
        self._entry: int = number
        self._head: bytes = head
        self._hold = 0
        self._settled = [0] * len(AGENTS)
        self._leases: dict[int, tuple[int, int, int, int]] = {}
        self._treasury = False
        self.commits = 0

    def by_commit(self, first: int, count: int, *, together: int) -> None:
        """`count` lives from task `first` on, `together` of them in each commit, each step for all of them in turn."""
        steps: tuple[Callable[[int, int], None], ...] = (
            self._post,
            self._bids,
            self._award,
            self._result,
            self._settle,
        )
        for start in range(first, first + count, together):
            self._run("BEGIN IMMEDIATE")
            now = time.time_ns() // 1_000_000
            for step, number in itertools.product(steps, range(start, min(start + together, first + count))):
                step(number, now)
            self._learned()
            self._run("COMMIT")
            self.commits += 1

    def by_step(self, first: int, count: int) -> None:
        """`count` lives one after the other, each in five commits: post, bids, award, result, settle."""
        for number in range(first, first + count):
            for step in (self._post, self._bids, self._award, self._result, self._settle):
                self._run("BEGIN IMMEDIATE")
                step(number, time.time_ns() // 1_000_000)
                if step == self._settle:
                    self._learned()
                self._run("COMMIT")
                self.commits += 1

    def _post(self, number: int, now: int) -> None:
        self._hold += 1
        self._leases[number] = (self._hold, now, 0, 0)
        seal = _seal(self._hold, number, "open", now)
        self._run(_HOLD, (self._hold, ACCOUNT, f"escrow:{number}", BUDGET, number, now, seal))
        deadline = now + DAY
        self._run(
            _TASK, (number, OWNER, ACCOUNT, OWNER, words(number), BUDGET, self._hold, now, deadline, deadline)
        )  # fmt: skip
        data = '{"budget_sats":100,"by":"console:owner"}'
        self._run(_EVENT, ("TaskPosted", number, None, now, data))
        self._run(_FORECAST, (number, ODDS))
        self._run(_APPLIED, (f"bench/{number}", str(number), now))
        self._run(_COUNT, (f"task:{number}:1", "", ACCOUNT, BUDGET, BUDGET, now))

    def _bids(self, number: int, now: int) -> None:
        closes_at = now + WINDOW
        self._run(_BIDDING, (closes_at, closes_at, number))
        self._run(_EVENT, ("AuctionOpened", number, None, now, f'{{"attempt":1,"closes_at":{closes_at}}}'))
        prices = [price_of(number, place) for place in range(len(AGENTS))]
        scores = [score_of(price, settled) for price, settled in zip(prices, self._settled, strict=True)]
        self._many(
            _BID,
            [(number, agent, price, score, now) for agent, price, score in zip(AGENTS, prices, scores, strict=True)],
        )
        self._many(_EVENT, [("BidPlaced", number, agent, now, '{"attempt":1}') for agent in AGENTS])
        winner = min(range(len(AGENTS)), key=lambda place: (scores[place], AGENTS[place]))
        self._leases[number] = (*self._leases[number][:2], winner, prices[winner])

    def _award(self, number: int, now: int) -> None:
        hold, held_at, place, price = self._leases[number]
        self._run(_SPEND, (_seal(hold, number, "posted", held_at), hold))
        self._run(_ESCROW, (f"escrow:{number}",))
        self._book("escrow", number, ACCOUNT, f"escrow:{number}", price, "hub", "price of the winning bid", now)
        key = f"task:{number}:1"
        self._run(_COUNTED, (price, key))
        scopes = (f"agent:{AGENTS[place]}", "class:counting")
        self._many(_COUNT, [(key, scope, ACCOUNT, price, price, now) for scope in scopes])
        until = now + LEASE
        self._run(_AWARDED, (AGENTS[place], price, secrets.token_urlsafe(12), until, until, now, number))
        self._run(_EVENT, ("TaskAwarded", number, AGENTS[place], now, f'{{"attempt":1,"price_sats":{price // 1000}}}'))

    def _result(self, number: int, now: int) -> None:
        agent = AGENTS[self._leases[number][2]]
        self._run(_DELIVERED, (f"{number} words", now, now, number))
        self._many(_EVENT, [(kind, number, agent, now, '{"attempt":1}') for kind in ("TaskStarted", "TaskDelivered")])

    def _settle(self, number: int, now: int) -> None:
        _, _, place, price = self._leases.pop(number)
        agent = AGENTS[place]
        if not self._treasury:
            self._run(_ESCROW, ("treasury",))
            self._treasury = True
        self._book("settle", number, f"escrow:{number}", "treasury", price, agent, f"paid to {agent}", now)
        self._settled[place] += 1
        self._run(_REPUTATION, (agent, price, now))
        self._run(_SETTLED, (now, number))
        data = f'{{"attempt":1,"price_sats":{price // 1000},"how":"auto"}}'
        self._run(_EVENT, ("TaskSettled", number, agent, now, data))

    def _learned(self) -> None:
        """What the tasks of a commit have taught."""
        self._run(_KNOWN, (KNOWN,))
        self._run(_CURSOR)

    def _book(  # noqa: PLR0917 - the columns
        self, kind: str, task: int, source: str, target: str, amount: int, actor: str, reason: str, now: int
    ) -> None:
        self._entry += 1
        key = f"task:{task}:1:{kind}"
        asked = _json((key, kind, task, actor, reason, sorted(((source, -amount), (target, amount))), None))
        request = hashlib.sha256(asked.encode()).digest()
        link = self._head + self._entry.to_bytes(8, "big") + now.to_bytes(8, "big", signed=True) + request
        digest = hashlib.sha256(link).digest()
        self._run(_TXN, (self._entry, key, request, kind, task, actor, reason, now, self._head, digest))
        self._head = digest
        self._many(_POSTING, ((self._entry, source, -amount), (self._entry, target, amount)))
