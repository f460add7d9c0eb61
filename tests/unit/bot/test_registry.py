"""What people type, and the command it means."""

from __future__ import annotations

import contextlib
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bot.commands  # noqa: F401 - declares the commands
from bot.registry import (
    BadOption,
    MissingArgument,
    Registry,
    TooMany,
    TwiceGiven,
    parse_arguments,
    parse_usage,
    registry,
)
from bot.routing import Way, words
from core.chat import MAX_TEXT, Caller, Inbound, Reply, Role
from core.errors import UserError
from core.voice.commands import typed

if TYPE_CHECKING:
    from core.chat import CommandCall

CALLER = Caller("console:owner", Role.OWNER)
USAGE = {one.name: one.usage for one in registry}
EXAMPLES = {
    "WHAT": "write a poem", "TEXT": "what is up?", "RESULT": "it is done", "WHY": "too short", "NOTE": "gladly",
    "SATS": "25", "DURATION": "90s", "T": "T-7", "ID": "A-3",
    "N": "5", "ENTRY": "70", "STATUS": "open", "AGENT": "quill", "NAME": "quill",
    "PERSONA": "quill", "COMMAND": "task", "auto|ask": "ask", "wallet|hold": "hold", "yes|no": "no",
    "CODE": "ABCD2345", "ACTOR": "telegram:7", "IDENTITY": "telegram:8", "KIND": "read", "member|operator|payer|owner": "operator",
    "on|off": "off", "WHOM": "telegram:7", "BOLT11": "lnbc1", "MEMO": "two coffees", "SCOPE": "day",
    "AMOUNT": "500", "in|out": "out", "me|treasury": "treasury", "PREIMAGE": "ab12", "PAYMENT": "cd34ef56",
    "IMAGE": "timmy-agent:2", "CAPABILITIES": "writing,data", "FACT": "M-4", "MODEL": "qwen3:8b",
    "TOPIC": "bids", "on|off|HOURS": "22:00-07:00", "CHANNEL": "phone", "ZONE": "Europe/Berlin",
    "WHEN": "noon", "S": "S-3", "unschedule ID": "S-3",
}  # fmt: skip


def inbound(text: str) -> Inbound:
    return Inbound("console", "owner", "1", "console:owner", "console:owner", text)


def parse(text: str) -> CommandCall:
    message = inbound(text)
    return registry.call(registry.route(message), message, CALLER)


def refusal(text: str) -> UserError:
    with pytest.raises(UserError) as refused:
        parse(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 250, "one clear line, however much was typed"
    return refused.value


# The usage line ----------------------------------------------------------------------------------------------------


def test_a_usage_line_says_what_is_required_keyed_and_prose() -> None:
    what, limit, agent, pick = parse_usage("/task WHAT [max=SATS] to=AGENT [pick=auto|ask]")
    assert (what.name, what.required, what.keyed, what.prose) == ("what", True, False, True)
    assert (limit.name, limit.kind, limit.required, limit.keyed) == ("max", "SATS", False, True)
    assert (agent.name, agent.required, agent.keyed, agent.prose) == ("to", True, True, False)
    assert (pick.name, pick.kind) == ("pick", "auto|ask")


def test_arguments_in_one_bracket_come_together() -> None:
    scope, amount = parse_usage("/limits [SCOPE AMOUNT]")
    assert [(one.required, one.joined) for one in (scope, amount)] == [(False, False), (False, True)]
    assert parse("/limits").args == {}
    assert parse("/limits day off").args == {"scope": "day", "amount": None}
    assert isinstance(refusal("/limits day"), MissingArgument)


@pytest.mark.parametrize(("text", "way"), [("/limits", Way.RUN), ("/limits day off", Way.ASK), ("/freeze", Way.ASK)])
def test_what_is_spoken_and_changes_a_limit_is_asked_back(text: str, way: Way) -> None:
    spoken = inbound(text)._replace(spoken=True)
    assert words(registry, typed, spoken).way is way


@pytest.mark.parametrize("name", USAGE)
def test_every_declared_command_understands_its_own_usage(name: str) -> None:
    command = registry.get(name)
    filled = [_example(part, name) for part in command.usage.split()[1:]]
    call = parse(" ".join([f"/{name}", *filled]))
    assert call.name == name
    assert set(call.args) == {argument.name for argument in command.arguments}
    required = [
        _example(part, name)
        for part, argument in zip(command.usage.split()[1:], command.arguments, strict=True)
        if argument.required
    ]
    assert parse(" ".join([f"/{name}", *required])).name == name


def _example(part: str, name: str = "") -> str:
    key, equals, kind = part.strip("[]").rpartition("=")
    return f"{key}{equals}{EXAMPLES.get(f'{name} {kind}', EXAMPLES[kind])}"


def test_the_commands_are_those_of_the_contract() -> None:
    assert set(USAGE) >= {
        "task", "tasks", "show", "bids", "bid", "award", "deliver", "accept", "reject", "cancel", "retry", "balance",
        "history", "agents", "agent", "spawn", "dismiss", "ask", "new", "model", "stop", "start", "help", "status",
        "whoami",
    }  # fmt: skip


def test_an_option_that_is_given_twice_is_named() -> None:
    twice = refusal("/task write it max=5 max=7")
    assert isinstance(twice, TwiceGiven)
    assert str(twice).startswith("max= was given twice, and differently. Usage: /task")
    parse("/task write it max=5 max=5")


@pytest.mark.parametrize("name", USAGE)
def test_what_is_missing_or_too_much_is_said_with_the_usage(name: str) -> None:
    command = registry.get(name)
    if any(argument.required for argument in command.arguments):
        refused = refusal(f"/{name}")
        assert isinstance(refused, MissingArgument)
        assert command.usage in str(refused)
    if not any(argument.prose or argument.kind == "WHEN" for argument in command.arguments):
        values = [_example(part, name) for part in command.usage.split()[1:] if "=" not in part]
        assert isinstance(refusal(" ".join([f"/{name}", *values, "surplus"])), TooMany)
        assert command.usage in str(refusal(" ".join([f"/{name}", *values, "surplus"])))


def test_an_unknown_option_is_named() -> None:
    refused = refusal("/tasks open colour=red")
    assert isinstance(refused, BadOption)
    assert "'colour=red'" in str(refused)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("/task write it budget=10", "max=SATS"), ("/task limit=10 write it", "max=SATS"), ("/task it Price=10", "max=SATS"),
        ("/task it mx=10", "max=SATS"), ("/task it --max=10", "max=SATS"), ("/task it max_price=10", "max=SATS"),
        ("/task it max = 10", "max=SATS"), ("/task it max =10", "max=SATS"), ("/task it budget = 10", "max=SATS"),
        ("/task it deadline=2h", "by=DURATION"), ("/task it agent=quill", "to=AGENT"), ("/bid 3 40 by=2h", "eta=DURATION"),
    ],
)  # fmt: skip
def test_a_limit_that_is_misspelt_is_refused_and_never_passes_as_text(text: str, instead: str) -> None:
    refused = refusal(text)
    assert isinstance(refused, BadOption)
    assert f"Write {instead} without blanks" in str(refused)


@pytest.mark.parametrize(
    ("tail", "instead"),
    [
        ("--max 10", "max=SATS"), ("—max 10", "max=SATS"), ("max:10", "max=SATS"), ("max: 10", "max=SATS"),
        ("max 10", "max=SATS"), ("Max 1,000.", "max=SATS"), ("max 2k", "max=SATS"), ("budget 10", "max=SATS"),
        ("for 10 sats", "max=SATS"), ("for 10sats", "max=SATS"), ("for at most 10", "max=SATS"),
        ("for at most 10 sats", "max=SATS"), ("for up to 10 sats!", "max=SATS"), ("for no more than 1 sat", "max=SATS"),
        ("with a budget of 10 sats", "max=SATS"), ("for 1.5 sats", "max=SATS"), ("for -50 sats", "max=SATS"),
        ("for no more than minus 50 sats", "max=SATS"), ("for zero sats", "max=SATS"),
        ("for 10 sats by=2h", "max=SATS"), ("within 2h", "by=DURATION"), ("by 10m", "by=DURATION"),
        ("by:2h", "by=DURATION"), ("--by 2h", "by=DURATION"), ("to:echo", "to=AGENT"), ("pick:ask", "pick=auto|ask"),
    ],
)  # fmt: skip
def test_a_line_that_ends_with_a_limit_in_other_words_is_refused(tail: str, instead: str) -> None:
    for text in (f"/task summarise welcome.md {tail}", f"/task 'press release.md' {tail}", f"/task {tail}"):
        refused = refusal(text)
        assert isinstance(refused, BadOption)
        assert f"Write {instead} without blanks" in str(refused)


@pytest.mark.parametrize(
    "what",
    [
        "explain what max 10 means", "write 10 reasons for 5 cats", "write it for 10", "what do I get for 10 sats?",
        "explain fees of 10 sats", "say 'for 10 sats'", 'say "max 10"', "list 5 sats facts", "by: Ann", "ratio max:min",
        "count to 10", "swim for 10m", "compare max 10 with min 5", "http://max:10", "dinner in 2h", "pay Ann 10 sats",
    ],
)  # fmt: skip
def test_prose_that_only_holds_such_words_is_text(what: str) -> None:
    assert parse(f"/task {what}").args == {"what": what}


def test_what_ends_like_a_limit_is_text_beside_the_option_itself() -> None:
    assert parse("/task explain the clause for 10 sats max=50").args == {
        "what": "explain the clause for 10 sats",
        "max": 50,
    }


@pytest.mark.parametrize(
    "what",
    ["why is x=5", "solve x = 5", "when is max == 10", 'say "budget=10"', "say 'max = 10'", "what max is", "foo=bar"],
)
def test_other_signs_in_prose_are_text(what: str) -> None:
    assert parse(f"/task {what}").args == {"what": what}


@pytest.mark.parametrize("name", USAGE)
def test_every_option_of_a_command_has_a_note(name: str) -> None:
    command = registry.get(name)
    options = {argument.name for argument in command.arguments if argument.keyed}
    assert options <= {note.partition("=")[0] for note in command.notes}
    assert all("\n" not in note and len(note) < 150 for note in command.notes)


async def test_help_on_a_command_tells_its_options() -> None:
    hub: Any = SimpleNamespace(registry=registry)
    told = await registry.get("help").run(hub, parse("/help task"))
    usage, help_, *notes = told.text.split("\n")
    assert (usage, help_) == (USAGE["task"], registry.get("task").help)
    assert [note.strip() for note in notes] == list(registry.get("task").notes)
    assert await registry.get("help").run(hub, parse("/help show")) == Reply("/show T\none task, with its result")


# What is a command -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["/task write it", "/TASK write it", "/Task@timmy_bot write it", "/task\twrite it"])
def test_a_command_is_known_in_any_case_and_with_the_bots_name(text: str) -> None:
    assert parse(text).args == {"what": "write it"}


@pytest.mark.parametrize("text", [" /task write it", "\n/balance", "see /balance", "\u200b/balance", "what is /task?"])
def test_only_the_very_start_makes_a_command(text: str) -> None:
    call = parse(text)
    assert (call.name, call.args) == ("ask", {"text": text})


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("/tsak write it", "/task"), ("/balence", "/balance"), ("/HELPP", "/help"), ("/task: x", "/task"),
        ("/ task write it", "/task"), ("/ balance", "/balance"), ("/agentx", "/agent"), ("/hlep", "/help"), ("/nwe", "/new"),
    ],
)  # fmt: skip
def test_an_unknown_command_names_the_nearest(text: str, nearest: str) -> None:
    refused = refusal(text)
    assert refused.code == "unknown_command"
    assert f"Did you mean {nearest}?" in str(refused)


def test_a_letter_that_cannot_be_seen_in_an_unknown_command_is_spelt_out() -> None:
    assert str(refusal("/bal\0ance")).startswith(r"There is no command /bal\x00ance. Did you mean /balance?")
    assert str(refusal("/balänce")).startswith("There is no command /balänce. Did you mean /balance?")


@pytest.mark.parametrize("text", ["/", "//", "/ ", "/1", "/-", "/\0", "/é", f"/{'a' * 9000}", "/qqqqqq", "/nope"])
def test_an_unknown_command_that_is_near_to_nothing_says_where_all_are(text: str) -> None:
    refused = refusal(text)
    assert refused.code == "unknown_command"
    assert str(refused).endswith("/help lists them all.")


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "　"])
def test_an_empty_message_is_refused(text: str) -> None:
    assert refusal(text).code == "message_empty"


@pytest.mark.parametrize("text", ["a" * (MAX_TEXT + 1), "ä" * (MAX_TEXT // 2 + 1), "/task " + "x" * 100_000])
def test_a_message_is_measured_in_bytes(text: str) -> None:
    assert refusal(text).code == "message_too_long"


@pytest.mark.parametrize("text", ["a" * MAX_TEXT, "ä" * (MAX_TEXT // 2)])
def test_the_longest_message_is_taken(text: str) -> None:
    assert parse(text).args == {"text": text}


# Arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "/task write a poem max=25 by=2h",
        "/task max=25 by=2h write a poem",
        "/task write max=25 a by=2h poem",
        "/task write a poem MAX=25 By=2H",
        "/task write a poem max=\"25\" by='2h'",
        "/task write a poem max=“25” by=‘2h’",
        "/task  write a poem   max=25   by=2h  ",
        "/task write a poem max=25 sats by=2h",
        "/task max=25 sats write a poem by=2h",
    ],
)
def test_options_may_stand_anywhere_and_prose_is_what_is_left(text: str) -> None:
    assert parse(text).args == {"what": "write a poem", "max": 25, "by": 7_200_000}


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ('"max=5" is a bad name', '"max=5" is a bad name'),
        ("'max=5' is a bad name", "'max=5' is a bad name"),
        ("“max=5” is a bad name", "“max=5” is a bad name"),
        ("--max 5 -h ls; rm -rf /", "--max 5 -h ls; rm -rf /"),
        ("say “well — done” to Ann’s cat", "say “well — done” to Ann’s cat"),
        ("a=b c=d x==y =", "a=b c=d x==y ="),
        ("keep\nthe\n\n  lines", "keep\nthe\n\n  lines"),
        ('one " alone', 'one " alone'),
        ("/balance", "/balance"),
        ("[max=5]", "[max=5]"),
        ("summax=5", "summax=5"),
    ],
)
def test_prose_is_kept_as_it_was_typed(said: str, what: str) -> None:
    assert parse(f"/task {said}").args == {"what": what}


@pytest.mark.parametrize(
    "said",
    ["don't stop max=5 it isn't done", "don’t stop max=5 it isn’t done", '5" of snow max=5 and 6" of rain',
     "'tis the max=5 season 'twas", '"unclosed max=5'],
)  # fmt: skip
def test_an_apostrophe_in_prose_hides_no_option(said: str) -> None:
    assert parse(f"/task {said}").args == {"what": said.replace(" max=5", ""), "max": 5}


def test_quotes_keep_blanks_together_where_one_value_is_wanted() -> None:
    assert parse('/agent "quill two"').args == {"name": "quill two"}
    assert parse("/agent 'quill two'").args == {"name": "quill two"}
    assert parse('/task write to="quill two"').args == {"what": "write", "to": "quill two"}


def test_null_bytes_do_not_come_through_nor_hide_an_option() -> None:
    assert parse("/task write\0 it max=5").args == {"what": "write it", "max": 5}


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("/bid 3 40 with joy", {"t": 3, "sats": 40, "note": "with joy"}),
        ("/bid T-3 40 sats with joy", {"t": 3, "sats": 40, "note": "with joy"}),
        ("/bid t3 2k eta=10m", {"t": 3, "sats": 2000, "eta": 600_000}),
        ("/bid #3 1 eta=1d later, with 5 sats off", {"t": 3, "sats": 1, "eta": 86_400_000, "note": "later, with 5 sats off"}),
        ("/deliver T-3 it costs 5 sats", {"t": 3, "result": "it costs 5 sats"}),
        ("/history 20", {"n": 20}),
        ("/tasks SETTLED", {"status": "settled"}),
        ("/task it pick=ASK", {"what": "it", "pick": "ask"}),
    ],
)  # fmt: skip
def test_values_are_read_as_their_type(text: str, args: dict[str, object]) -> None:
    assert parse(text).args == args


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("/task x max=0", "bad_amount"), ("/task x max=-5", "bad_amount"), ("/task x max=1.5", "bad_amount"),
        ("/task x max=1e3", "bad_amount"), ("/task x max=2100000000000001", "bad_amount"), ("/task x max=٣", "bad_amount"),
        (f"/task x max={'9' * 5000}", "bad_amount"), ("/task x max=", "missing_argument"), ('/task x max=""', "missing_argument"),
        ("/task x by=0s", "bad_duration"), ("/task x by=1w", "bad_duration"), ("/task x by=soon", "bad_duration"),
        ("/task x by=1.5h", "bad_duration"), ("/task x pick=me", "bad_choice"), ("/show T-0", "bad_task_id"),
        ("/show T-x", "bad_task_id"), ("/show -1", "bad_task_id"), (f"/show {'9' * 40}", "bad_task_id"),
        ("/tasks lost", "bad_status"), ("/history 0", "bad_number"), ("/history -3", "bad_number"),
        ("/history ten", "bad_number"), ("/history 9999999", "bad_number"),
        ("/task x by=9999999s", "bad_duration"), ("/bid 1", "missing_argument"), ("/task max=5", "missing_argument"),
        ("/reject 1", "missing_argument"), ("/balance now", "too_many"),
    ],
)  # fmt: skip
def test_a_value_that_is_none_of_its_type_is_refused(text: str, code: str) -> None:
    assert refusal(text).code == code


def test_a_number_that_is_too_long_is_not_repeated_in_full() -> None:
    assert len(str(refusal(f"/history {'9' * 9000}"))) < 120


@given(st.text(max_size=300))
def test_whatever_is_typed_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(UserError):
        call = parse(text)
        assert {one.name for one in registry.get(call.name).arguments if one.required} <= set(call.args)


@given(
    st.lists(st.sampled_from(["max=5", "by=2h", "write", "don't", '"', "'", "a", "=", "“x”", "\n", "—"]), max_size=12)
)
def test_every_option_outside_quotes_is_taken_and_no_other_word_is_lost(words: list[str]) -> None:
    spoken = [word for word in words if word not in {"max=5", "by=2h"}]
    if '"' in words or "'" in words or not "".join(spoken).strip():
        return
    args = parse_arguments(registry.get("task"), " ".join(words))
    assert ("max" in args, "by" in args) == ("max=5" in words, "by=2h" in words)
    assert re.sub(r"\s", "", str(args["what"])) == re.sub(r"\s", "", "".join(spoken))


async def test_a_registry_knows_only_what_was_declared_to_it() -> None:
    mine = Registry()

    @mine.command("/wave [NAME]", "wave to somebody", group="play")
    async def wave(hub: object, call: CommandCall) -> Reply:
        return Reply(f"waves to {call.args['name']}")

    assert mine.described() == [("/wave [NAME]", "wave to somebody")]
    assert mine.get("/WAVE").run is wave
    assert "/ask" not in str(mine.described())
