"""The rule of an approval: its own action or nothing, by whoever was asked, once, in time."""

from __future__ import annotations

import pytest

from core.approval import (
    Approval,
    BadApprovalId,
    NotYoursToDecide,
    Settled,
    State,
    approval_name,
    decide,
    digest_of,
    parse_approval,
)
from core.chat import Role

OPEN = Approval(
    7, "pay", "pay 500 to ann", digest_of("pay", "pay 500 to ann"), "Pay Ann 500 sats?", "console:owner", "console:owner",
    ("telegram:1", "matrix:@a:b"), Role.MEMBER, 1_000, 2_000,
)  # fmt: skip


@pytest.mark.parametrize("text", ["A-7", "a7", "7", "#7", " A-7 ", "A-007"])
def test_an_id_is_read_as_people_write_it(text: str) -> None:
    assert approval_name(parse_approval(text)) == "A-7"


@pytest.mark.parametrize("text", ["", "A-", "A-0", "B-7", "T-7", "-7", "7.5", "A-7x", "9" * 19])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(BadApprovalId):
        parse_approval(text)


@pytest.mark.parametrize(("yes", "state"), [(True, State.APPROVED), (False, State.DENIED)])
def test_whoever_was_asked_decides_and_is_remembered(yes: bool, state: State) -> None:
    found = decide(OPEN, "matrix:@a:b", Role.MEMBER, yes=yes, now=1_500)
    assert (found.state, found.decided_by, found.decided_at) == (state, "matrix:@a:b", 1_500)
    assert found._replace(state=State.OPEN, decided_by=None, decided_at=None) == OPEN


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("actor", ["telegram:2", "telegram", "telegram:1 ", "matrix:@A:b", ""])
def test_nobody_else_does_nor_learns_how_it_stands(actor: str, state: State) -> None:
    with pytest.raises(NotYoursToDecide, match=r"A-7 is not yours to decide. It was put to 2 others."):
        decide(OPEN._replace(state=state), actor, Role.MEMBER, yes=True, now=1_500)


@pytest.mark.parametrize("yes", [True, False])
@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
def test_what_is_settled_stays_so(state: State, yes: bool) -> None:
    became = {
        State.APPROVED: "approved already by matrix:@a:b. It is being done.",
        State.DONE: "approved already by matrix:@a:b. It is not done again. What came of it: paid 500 sats",
        State.DENIED: "denied already by matrix:@a:b. Nothing was done.",
        State.EXPIRED: "expired already by matrix:@a:b. Nothing was done.",
    }[state]
    settled = OPEN._replace(state=state, decided_by="matrix:@a:b", outcome="paid 500 sats")
    with pytest.raises(Settled, match=f"A-7 was {became}"):
        decide(settled, "telegram:1", Role.MEMBER, yes=yes, now=1_500)


@pytest.mark.parametrize("now", [2_000, 2_001, 10**15])
def test_what_is_late_is_nothing(now: int) -> None:
    with pytest.raises(Settled, match="was expired already"):
        decide(OPEN, "telegram:1", Role.MEMBER, yes=True, now=now)


@pytest.mark.parametrize(("kind", "action"), [("pay", "pay 501 to ann"), ("give", "pay 500 to ann"), ("pay", "")])
def test_another_action_is_not_what_people_agreed_to(kind: str, action: str) -> None:
    assert OPEN.intact
    assert not OPEN._replace(kind=kind, action=action).intact


@pytest.mark.parametrize(
    ("needs", "role", "may"),
    [
        (Role.OWNER, Role.OWNER, True), (Role.OWNER, Role.PAYER, False), (Role.OWNER, Role.MEMBER, False),
        (Role.MEMBER, Role.OWNER, True), (Role.MEMBER, Role.MEMBER, True), (Role.MEMBER, Role.GUEST, False),
        (Role.PAYER, Role.OWNER, True), (Role.PAYER, Role.PAYER, True), (Role.PAYER, Role.MEMBER, False),
        (Role.PAYER, Role.OPERATOR, False), (Role.MEMBER, Role.PAYER, True), (Role.MEMBER, Role.OPERATOR, True),
    ],
)  # fmt: skip
def test_whoever_lost_the_role_that_it_needs_decides_no_more(needs: Role, role: Role, may: bool) -> None:
    asked = OPEN._replace(needs=needs)
    if may:
        assert decide(asked, "telegram:1", role, yes=True, now=1_500).state is State.APPROVED
    else:
        with pytest.raises(NotYoursToDecide):
            decide(asked, "telegram:1", role, yes=True, now=1_500)


@pytest.mark.parametrize(
    ("asked_by", "approvers", "exact", "may"),
    [
        ("x:1", ("telegram:1",), False, True),
        ("x:1", ("telegram:1",), True, False),
        ("telegram:1", ("telegram:1",), False, True),  # put to who asked: their own word is wanted
        ("telegram:1", ("matrix:@a:b",), False, False),  # another's word is wanted, and that is no other
        ("matrix:@a:b", ("telegram:1",), False, False),
        ("telegram:1 as x:1", ("matrix:@a:b",), False, False),
        ("telegram:1", ("x:1",), False, False),
        ("telegram:1", ("matrix:@a:b",), True, True),  # from that very place
    ],
)
def test_a_person_decides_from_any_identity_but_is_no_second_person(
    asked_by: str, approvers: tuple[str, ...], exact: bool, may: bool
) -> None:
    asked = OPEN._replace(asked_by=asked_by, approvers=approvers, exact=exact)
    both = {"telegram:1", "matrix:@a:b"}
    if may:
        found = decide(asked, "matrix:@a:b", Role.MEMBER, yes=True, now=1_500, selves=both)
        assert found.decided_by == "matrix:@a:b", "it is kept which identity it was"
    else:
        with pytest.raises(NotYoursToDecide):
            decide(asked, "matrix:@a:b", Role.MEMBER, yes=True, now=1_500, selves=both)


@pytest.mark.parametrize("yes", [True, False])
def test_an_identity_that_was_the_askers_then_is_no_second_person_later(yes: bool) -> None:
    asked = OPEN._replace(asked_by="x:1", askers=("matrix:@a:b", "x:1"))
    with pytest.raises(NotYoursToDecide):
        decide(asked, "matrix:@a:b", Role.MEMBER, yes=yes, now=1_500)
    assert decide(asked, "telegram:1", Role.MEMBER, yes=yes, now=1_500).decided_by == "telegram:1"
    there = asked._replace(exact=True)
    assert decide(there, "matrix:@a:b", Role.MEMBER, yes=yes, now=1_500).decided_by == "matrix:@a:b", "the place counts"
