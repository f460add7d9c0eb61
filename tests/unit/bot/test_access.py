"""Who may do what: CONTRACT's table "Who", written out once more, against the rule that decides."""

from __future__ import annotations

import itertools

import pytest

from core.access import Action, NotAllowed, authorize, judge
from core.chat import Caller, Role

# yes: anybody's and their own · own: only their own · -: never. The last three columns are further conditions:
# whether `--as` may try it out, whether a group may see it, and whether who may be another may do it.
WHO = """
action     guest  member  operator  payer  owner  as   group  doubt
TALK       -      yes     yes       yes    yes    yes  yes    yes
LOOK       -      yes     yes       yes    yes    yes  yes    yes
POST       -      yes     yes       yes    yes    yes  yes    -
BID        -      yes     yes       yes    yes    yes  yes    -
DELIVER    -      yes     yes       yes    yes    yes  yes    -
SEE_MONEY  -      yes     yes       yes    yes    yes  -      yes
JUDGE      -      own     own       own    yes    -    yes    -
AWARD      -      own     yes       own    yes    -    yes    -
CANCEL     -      own     yes       own    yes    yes  yes    -
RETRY      -      own     yes       own    yes    yes  yes    -
ROSTER     -      -       yes       -      yes    yes  yes    -
MODEL      -      -       yes       -      yes    -    yes    -
TOKENS     -      -       -         -      yes    -    -      -
PAIR       -      -       -         -      yes    -    yes    -
APPROVE    -      yes     yes       yes    yes    -    yes    -
LINK       -      yes     yes       yes    yes    -    -      -
JOIN       yes    yes     yes       yes    yes    -    -      -
"""
_HEAD, *_ROWS = [line.split() for line in WHO.split("\n") if line]
TABLE = {row[0]: dict(zip(_HEAD[1:], row[1:], strict=True)) for row in _ROWS}


def test_the_table_has_every_action_and_every_role() -> None:
    assert set(TABLE) == {action.name for action in Action}
    assert set(_HEAD[1:-3]) == {role.value for role in Role}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_who_may_do_what(role: Role, action: Action) -> None:
    row = TABLE[action.name]
    for own, acting_for, private, doubt in itertools.product(
        (False, True), (None, "telegram:7"), (False, True), ("", "who are you?")
    ):
        wanted = row[role.value] == "yes" or (row[role.value] == "own" and own)
        wanted = wanted and (acting_for is None or row["as"] == "yes") and (private or row["group"] == "yes")
        wanted = wanted and (not doubt or row["doubt"] == "yes")
        caller = Caller("telegram:5", role, private, acting_for, doubt=doubt)
        verdict = judge(caller, action, own=own)
        assert verdict.allowed is wanted, (own, acting_for, private, doubt, verdict.rule)
        if wanted:
            authorize(caller, action, own=own)
        else:
            with pytest.raises(NotAllowed, match="You may not") as refused:
                authorize(caller, action, own=own)
            assert (refused.value.code, refused.value.status) == ("not_allowed", 403)
            assert verdict.rule in str(refused.value), "the rule that decided is told"


def test_acting_for_somebody_never_passes_for_them() -> None:
    caller = Caller("console:owner", Role.MEMBER, acting_for="telegram:7")
    assert (caller.name, caller.recorded) == ("telegram:7", "console:owner as telegram:7")
