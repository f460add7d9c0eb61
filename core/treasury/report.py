"""The daily report: what moved between one morning and the next, how the books, the node and the limits stand, and what is wrong.

A report reaches from the last entry of the one before it to the last that was booked before this day's 8 o'clock, in the order of
the books: so each entry is in one report, however long the hub was off, and though the clock was put back meanwhile. Where nothing
moved and nothing is wrong there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from core.tokens import CONSOLE_OWNER
from core.treasury.policy import day_of, turnover
from core.treasury.treasury import TreasuryTx
from core.wallet import limits
from core.wallet.invoices import SUSPENSE
from core.wallet.ledger import TREASURY, BooksBroken, Kind, at_node, kind_of, user_account
from core.wallet.limits import DAY, HOUR
from core.wallet.outgoing import PaymentTx
from core.wallet.wallet import Books

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from core.treasury.policy import Flow, Turnover
    from core.wallet.ledger import Proof
    from core.wallet.limits import Freeze, Standing
    from core.wallet.reconcile import Comparison

AT_HOUR = 8
"""When a report is due, in the hub's zone."""

MOST_ENTRIES = 100_000
"""Books that are longer are not walked for a report: `timmy ledger verify` does it."""

_NEARLY = 9, 10
"""A limit counts as used up from this part of it on."""

FOUNDING = frozenset({"grant", "opening"})
"""What a new book begins with: it came from nowhere."""

_SILENT = frozenset({"sale", "escrow", "refund", "held", "given back", "rest"})
"""Kinds of entries that are told by what became of them. What the node holds has not come in before it was taken."""


class Posting(NamedTuple):
    """One posting of an entry. `amount` in msat."""

    entry: int
    kind: str
    account: str
    amount: int


class Moves(NamedTuple):
    """What came into the hub, what went out of it, and what moved inside, msat by kind of entry."""

    came_in: dict[str, int]
    went_out: dict[str, int]
    inside: dict[str, int]


class ReportStore(Protocol):
    """What a report is made of, inside one unit of work."""

    def newest(self) -> tuple[str, int, int] | None:
        """The newest day that was reported, until when its report reached (Unix ms), and its last entry."""

    def done(self, span: Span) -> None:
        """A day was reported, or there was nothing to say of it."""

    def last_before(self, until: int) -> int:
        """The last entry, in the order of the books, that was booked before a time; 0 where there is none."""

    def postings(self, after: int, upto: int) -> Iterable[Posting]:
        """Everything that was booked after an entry, up to another, entry by entry."""

    def treasury(self, after: int, upto: int) -> Mapping[str, Flow]:
        """What moved in and out of the treasury in these entries, by their kinds."""

    def open_holds(self) -> tuple[int, int]:
        """How many holds are open, and of how many msat."""

    def entries(self) -> int:
        """How many entries the books have."""


class DatedBooks(Books, Protocol):
    """Books that know when they began."""

    def opened_at(self) -> int:
        """Unix ms; 0 where they have not."""


class ReportTx(TreasuryTx, PaymentTx, Protocol):
    """A unit of work over all that is reported."""

    @property
    def books(self) -> DatedBooks:
        """The books, read only."""

    @property
    def reports(self) -> ReportStore:
        """Reports."""


class Span(NamedTuple):
    """The day of a report; from when until when it reaches (Unix ms), and after which entry, up to which."""

    day: str
    since: int
    until: int
    after: int = 0
    upto: int = 0


class Report(NamedTuple):
    """A report. Amounts in msat.

    `holds` and `late` (payments that have not ended for more than an hour) are (how many, msat). `node`: how it compares, or why it
    does not; `books`: their proof, what is wrong with them, or None where they are too long to be walked.
    """

    span: Span
    moves: Moves
    treasury: Turnover
    balance: int
    holds: tuple[int, int]
    late: tuple[int, int]
    node: Comparison | str
    books: Proof | str | None
    used_up: Sequence[Standing]
    freeze: Freeze | None

    @property
    def differs(self) -> bool:
        """Whether node and books differ, or could not be compared."""
        return isinstance(self.node, str) or bool(self.node.difference and not self.node.booked)

    @property
    def wrong(self) -> bool:
        """Whether somebody should look."""
        broken = isinstance(self.books, str)
        return broken or self.differs or bool(self.late[0] or self.used_up or self.freeze)

    @property
    def worth_telling(self) -> bool:
        """Whether anything moved, or is wrong."""
        return self.wrong or any(self.moves)


def due(tx: ReportTx, zone: tzinfo | None) -> Span | None:
    """What is to be reported now; None if nothing is: it was, or the books are younger."""
    day, until = day_of(tx.now, zone, AT_HOUR)
    newest, opened = tx.reports.newest(), tx.books.opened_at()
    after = 0 if newest is None else newest[2]
    if newest is not None and newest[1] > tx.now + DAY:  # it was written by a clock that ran ahead
        newest, opened = None, max(opened, until - DAY)
    if not 0 < opened < until or (newest is not None and (newest[0] >= day or newest[1] >= until)):
        return None
    upto = max(after, tx.reports.last_before(until))
    return Span(day, opened if newest is None else newest[1], until, after, upto)


def gather(tx: ReportTx, span: Span, node: Comparison | str) -> Report:
    """Read everything that a report says. It takes as long as a walk through the books, up to `MOST_ENTRIES`."""
    late = [one.most for one in tx.payments.unfinished() if tx.now - one.at > HOUR]
    wallets = (TREASURY, user_account(CONSOLE_OWNER))
    standings = [one for account in wallets for one in limits.standings(tx, account)]
    standings += [one for one in limits.people(tx) if one not in standings]
    return Report(
        span, moves(tx.reports.postings(span.after, span.upto)), turnover(tx.reports.treasury(span.after, span.upto)),
        tx.ledger.account(TREASURY).available, tx.reports.open_holds(), (len(late), sum(late)), node, _proof(tx),
        [one for one in standings if used_up(one)], tx.limits.rules().freeze,
    )  # fmt: skip


def _proof(tx: ReportTx) -> Proof | str | None:
    if tx.reports.entries() > MOST_ENTRIES:
        return None
    try:
        return tx.books.prove()
    except BooksBroken as error:
        return str(error)


def used_up(one: Standing) -> bool:
    """Whether a limit on a day is used, or nearly: what an hour allows comes back within one."""
    part, whole = _NEARLY
    return one.window == DAY and one.limit is not None and one.spent * whole >= one.limit * part


def moves(postings: Iterable[Posting]) -> Moves:
    """What moved, by kind. What strangers paid is told from other invoices (`sale`), and what nobody asked for (`suspense`)."""
    found = Moves({}, {}, {})
    entry: list[Posting] = []
    for one in postings:
        if entry and entry[0].entry != one.entry:
            _add(found, entry)
            entry = []
        entry.append(one)
    if entry:
        _add(found, entry)
    return found


def _add(found: Moves, entry: Sequence[Posting]) -> None:
    kind = entry[0].kind
    if kind in FOUNDING:
        return
    world = [
        one.amount for one in entry if kind_of(one.account) is Kind.ASSET and not one.account.startswith(at_node(""))
    ]
    if world:  # whose accounts go negative by what they hold
        went = sum(world)
        _count(found.went_out if went > 0 else found.came_in, _special(entry) or kind, abs(went))
    elif kind not in _SILENT:
        _count(found.inside, kind, sum(one.amount for one in entry if one.amount > 0))


def _special(entry: Sequence[Posting]) -> str:
    if any(kind_of(one.account) is Kind.INCOME for one in entry):
        return "sale"
    return SUSPENSE if any(one.account == SUSPENSE for one in entry) else ""


def _count(amounts: dict[str, int], kind: str, amount: int) -> None:
    amounts[kind] = amounts.get(kind, 0) + amount
