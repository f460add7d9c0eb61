"""Who may do what: CONTRACT's table "Who", written out once more, against the rule that decides."""

from __future__ import annotations

import itertools

import pytest

from core.access import Action, NeedsTap, NotAllowed, authorize, judge
from core.chat import Caller, Proxy, Role
from core.money import to_msat

DEVICE = Proxy("telegram:5", "telegram:5", 200)

# yes: anybody's and their own · own: only their own · -: never. The last four columns are further conditions:
# whether `--as` may try it out, whether a group may see it, whether who may be another may do it, and whether a device of
# theirs may (tap: they are asked first).
WHO = """
action     guest  member  operator  payer  owner  as   group  doubt  device
TALK       -      yes     yes       yes    yes    yes  yes    yes    yes
LOOK       -      yes     yes       yes    yes    yes  yes    yes    yes
POST       -      yes     yes       yes    yes    yes  yes    -      yes
BID        -      yes     yes       yes    yes    yes  yes    -      tap
DELIVER    -      yes     yes       yes    yes    yes  yes    -      tap
SEE_MONEY  -      yes     yes       yes    yes    yes  -      yes    yes
RECONCILE  -      -       -         -      yes    -    -      -      tap
JUDGE      -      own     own       own    yes    -    yes    -      tap
AWARD      -      own     yes       own    yes    -    yes    -      tap
CANCEL     -      own     yes       own    yes    yes  yes    -      tap
RETRY      -      own     yes       own    yes    yes  yes    -      tap
ROSTER     -      -       yes       -      yes    yes  yes    -      tap
IMAGE      -      -       -         -      yes    -    yes    -      tap
MODEL      -      -       yes       -      yes    -    yes    -      tap
TASK_MODEL -      -       yes       -      yes    yes  yes    -      tap
PULL       -      -       -         -      yes    -    yes    -      -
ALOUD      -      -       yes       -      yes    yes  yes    yes    yes
NOTIFY     -      yes     yes       yes    yes    -    yes    -      tap
TELL       -      -       yes       -      yes    yes  yes    yes    yes
OVERSEE    -      -       -         -      yes    yes  yes    yes    yes
TOKENS     -      own     own       own    yes    -    -      -      -
MINT       -      -       -         -      yes    -    -      -      -
PAIR       -      -       -         -      yes    -    yes    -      tap
APPROVE    -      yes     yes       yes    yes    -    yes    -      -
LINK       -      yes     yes       yes    yes    -    -      -      -
JOIN       yes    yes     yes       yes    yes    -    -      -      -
PAY        -      yes     yes       yes    yes    -    yes    -      tap
SEND       -      -       -         yes    yes    -    yes    -      tap
RECEIVE    -      yes     yes       yes    yes    yes  yes    yes    yes
PAYOUT     -      -       -         -      yes    -    yes    -      tap
TREASURY   -      -       -         -      yes    -    -      -      tap
LIMITS     -      -       -         -      yes    -    yes    -      -
FREEZE     -      -       -         -      yes    -    yes    -      -
RECALL     -      yes     yes       yes    yes    -    yes    -      yes
REMEMBER   -      yes     yes       yes    yes    -    yes    -      tap
FORGET     -      own     yes       own    yes    -    yes    -      tap
PLAN       -      yes     yes       yes    yes    yes  yes    -      tap
PLAN_HERE  -      -       yes       -      yes    yes  yes    -      tap
"""
_HEAD, *_ROWS = [line.split() for line in WHO.split("\n") if line]
TABLE = {row[0]: dict(zip(_HEAD[1:], row[1:], strict=True)) for row in _ROWS}


def test_the_table_has_every_action_and_every_role() -> None:
    assert set(TABLE) == {action.name for action in Action}
    assert set(_HEAD[1:-4]) == {role.value for role in Role}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_who_may_do_what(role: Role, action: Action) -> None:
    row = TABLE[action.name]
    for own, acting_for, private, doubt, proxy in itertools.product(
        (False, True), (None, "telegram:7"), (False, True), ("", "who are you?"), (None, DEVICE)
    ):
        wanted = row[role.value] == "yes" or (row[role.value] == "own" and own)
        wanted = wanted and (acting_for is None or row["as"] == "yes") and (private or row["group"] == "yes")
        wanted = wanted and (not doubt or row["doubt"] == "yes")
        taps = wanted and proxy is not None and row["device"] == "tap"
        wanted = wanted and (proxy is None or row["device"] == "yes")
        caller = Caller("telegram:5", role, private, acting_for, doubt=doubt, proxy=proxy)
        verdict = judge(caller, action, own=own)
        assert (verdict.allowed, verdict.asks) == (wanted, taps), (own, acting_for, private, doubt, proxy, verdict.rule)
        if wanted:
            authorize(caller, action, own=own)
        else:
            with pytest.raises(NeedsTap if taps else NotAllowed, match="may not") as refused:
                authorize(caller, action, own=own)
            assert (refused.value.code, refused.value.status) == ("needs_tap" if taps else "not_allowed", 403)
            assert verdict.rule in str(refused.value), "the rule that decided is told"


@pytest.mark.parametrize("action", Action)
def test_a_stranger_who_paid_talks_and_posts_for_what_a_call_was_sold_for(action: Action) -> None:
    stranger = Caller("l402:x", Role.GUEST, bought=to_msat(100))
    for cost, within in ((0, True), (to_msat(100), True), (to_msat(100) + 1, False)):
        verdict = judge(stranger, action, own=True, cost=cost)
        assert verdict.allowed is (action in {Action.TALK, Action.POST} and within)
        assert not verdict.asks
    assert not judge(Caller("l402:x", Role.GUEST), Action.TALK).allowed  # it is the payment that counts, not the name


def test_acting_for_somebody_never_passes_for_them() -> None:
    caller = Caller("console:owner", Role.MEMBER, acting_for="telegram:7")
    assert (caller.name, caller.recorded) == ("telegram:7", "console:owner as telegram:7")


@pytest.mark.parametrize(("sats", "asks"), [(1, False), (200, False), (201, True)])
def test_a_device_posts_tasks_up_to_its_limit_and_asks_above_it(sats: int, asks: bool) -> None:
    member = Caller("shortcuts:phone", Role.MEMBER, account="telegram:5", proxy=DEVICE)
    verdict = judge(member, Action.POST, cost=to_msat(sats))
    assert (verdict.allowed, verdict.asks) == (not asks, asks)
    assert not asks or "200 sats" in verdict.rule
    assert judge(Caller("telegram:5", Role.MEMBER), Action.POST, cost=to_msat(10**9)).allowed, (
        "a person has no such limit"
    )


@pytest.mark.parametrize("action", Action)
def test_a_schedule_looks_talks_and_posts_whoever_made_it(action: Action) -> None:
    for role, private in itertools.product(Role, (False, True)):
        person = Caller("telegram:5", role, private)
        may = action in {Action.TALK, Action.LOOK, Action.POST, Action.TASK_MODEL, Action.SEE_MONEY}
        assert judge(person._replace(schedule="schedule:1"), action, own=True).allowed is (
            may and judge(person, action, own=True).allowed
        )


def test_what_a_schedule_does_is_recorded_as_such() -> None:
    person = Caller("telegram:5", Role.MEMBER)
    assert person._replace(schedule="schedule:1").recorded == "telegram:5 via schedule:1"
    assert person._replace(actor="console:owner", acting_for="telegram:5", schedule="schedule:1").recorded == (
        "console:owner as telegram:5 via schedule:1"
    )
