"""What each persona's check passes, and what it says to the model about the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from config import personas
from core.agent.checks.catalogue import CHECKS, checked
from core.agent.checks.draft import Draft
from core.agent.checks.hollow import SAID_BACK, fault
from core.agent.session import Called, Step
from core.agent.worktree import DIFF
from core.swarm.ports import ResultFile

if TYPE_CHECKING:
    from core.agent.checks.draft import Checked


def judged(check: str, task: str, text: str, **read: str) -> Checked:
    """A result by one check; `read` are the files that were read for it."""
    calls = tuple(
        Called("read_file", {"path": name.replace("_", ".")}, said, outside=True) for name, said in read.items()
    )
    return checked([check], Draft(task, text, [Step("", calls)] if calls else []))


def test_code_that_is_handed_over_as_a_change_is_not_wanted_in_words_too() -> None:
    task, said = "fix the function total in shop/cart.py, with tests", "It adds up now."
    for name, faults in ((DIFF, 0), ("chart.png", 1)):
        step = Step("", (Called("change_code", {}, "", files=(ResultFile(name, "0" * 64, 1),)),))
        assert len(checked(["code"], Draft(task, said, [step])).faults) == faults


def test_every_persona_has_checks_and_all_of_them_exist() -> None:
    declared = personas.load()
    assert all(one.checks for one in declared)
    assert {check for one in declared for check in one.checks} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "text", ["Write a haiku about rain", " **write a haiku:** about rain. ", "WRITE A HAIKU ABOUT RAIN!"]
)
def test_a_task_that_is_only_said_back_is_no_result_of_any_field(check: str, text: str) -> None:
    assert judged(check, "write a haiku about rain", text).faults == (SAID_BACK,)


VERSE = """In the autumn leaves, leaves on the wind
How leaves on the wind will be
I wonder what the leaves will do"""
LOST = """I am the leaves, and leaves on the wind
I am the wind and leaves on the wind
The leaves on the wind will continue to wind"""


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "text",
    [
        f"{VERSE}\n\n" + f"{LOST}\n\n" * 5,
        "The meeting went well and was long. " * 6,
        "The meeting went well and was long\u2028" * 6,
        "今天天气很好我们去公园散步吧。" * 6,
        "[" * 100_000 + "\nThe meeting went well and was long" * 6,
    ],
    ids=["poem", "line", "separators", "chinese", "deep"],
)
def test_what_says_the_same_again_and_again_is_no_result_of_any_field(check: str, text: str) -> None:
    (fault,) = judged(check, "write a poem about autumn", text).faults
    assert fault.startswith("More than half of it says again what it says already, such as `")


SONG = "\n".join(
    f"{LOST}\n\nVerse {n} has words of its own\nand {n} of them nobody else has\nso that is new {n}" for n in range(4)
)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("write a song", SONG),
        ("write 'I will not be late' 5 times", "I will not be late. " * 5),
        ("write a strophe", f"{LOST}\n" * 3),
        ("chords of a song", "| G | Em | C | D |\n" * 8),
        ("say what the log has", "Twice:\n```\n" + "GET /index.html 200 OK\n" * 8 + "```"),
        ("review them", "\n".join(f"- src/{name}.py: no issues found." for name in "abcdefgh")),
        ("review them", "\n\n".join(f"## {name}.py\nNo issues found." for name in "abcdefgh")),
        (
            "review them",
            "\n".join(f"{word * 40}\nHas no severity\nIs not fixed yet\n" for word in ("cart", "shop", "user", "main")),
        ),
        (
            "answer in JSON",
            json.dumps([{"id": n, "status": "passed", "required": "never"} for n in range(8)], indent=1),
        ),
    ],
)
def test_refrains_code_chords_and_what_was_asked_for_may_come_again(task: str, text: str) -> None:
    assert not fault(Draft(task, text))


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("say hello", "Hello!"),
        ("translate to German: hello", "hallo"),
        ("proofread: It rains.", "It rains."),
        ("1 + 1", "2"),
        ("👋", "🎉"),
    ],
)
def test_a_short_answer_is_one(task: str, text: str) -> None:
    assert judged("prose", task, text).faults == ()


CODE = "```python\ndef double(n):\n    return 2 * n\n```"
TUNE = "```abc\nX:1\nT:Small tune\nM:4/4\nL:1/4\nK:G\nG A B c | d2 B2 | c B A G | G4 |]\n```"
BOARD = "| scene | seconds | shot | sound |\n|---|---|---|---|\n| 1 | 10 s | wide | rain |\n| 2 | 0:10-0:30 | close | none |"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4" fill="url(#a)"/></svg>'
FINDING = "- HIGH | app.py:12 | what users type becomes part of the query | use parameters"

GOOD: list[tuple[str, str, str, dict[str, str]]] = [
    ("code", "write a function", "```python\ndef f(x):\n    y = x\n    'Left over.'", {}),
    ("code", "write a function without any tests", CODE, {}),
    (
        "numbers",
        "look at a.csv",
        "1.2 million in all, 3k a day, 1,5 on average, 125 %",
        {"a_csv": "1234567 3021 1.5 1.25"},
    ),
    ("storyboard", "storyboard for three clips of 10 seconds each", BOARD, {}),
    (
        "storyboard",
        "storyboard for a two minute film",
        "| scene | length | shot | sound |\n|---|---|---|---|\n| 1 | 1 min | wide | rain |\n| 2 | 1:00 | close | none |",
        {},
    ),
    ("numbers", "average of 0 and 50", "It is 25.", {}),
    (
        "prose",
        "say in English what the rain is",
        "It is the rain that falls in the night and the day, not for you.",
        {},
    ),
    ("drawing", "a logo", SVG.replace("<circle", "<style>a{fill:red}</style><text>Hi</text><circle"), {}),
    ("code", "write a function", CODE, {}),
    ("code", "write a function with tests", f"{CODE}\n\n```python\nassert double(2) == 4\n```", {}),
    ("code", "explain what a closure is", "A closure keeps what was around it.", {}),
    ("code", "write a config", '```json\n{"a": 1}\n```\n```toml\na = 1\n```\n```xml\n<!DOCTYPE plist><a/>\n```', {}),
    (
        "code",
        "write a class",
        "```py\nclass A:\n    @property\n    def b(self): ...\n    def c(self):\n        'Note.'\n        x = 1\n```",
        {},
    ),
    ("code", "write a function", "```python\n>>> 1 +\n```", {}),
    ("music", "a melody in G", TUNE, {}),
    (
        "music",
        "a waltz melody in A minor",
        '```\nX:1\nT:W\nM:3/4\nK:Am\n% slow\n"Am"A2 |: A2 c2 e2 | a3 g (3fed | c>d e4 :|1 A6 :|2 Z | A4 |]\n```',
        {},
    ),
    ("music", "chords for a song", "**Key:** G major, tempo: 96 bpm\n| G | Em7 | Cmaj7 | D/F# |", {}),
    ("music", "lyrics for a song about rain", "Rain\nfalls", {}),
    ("music", "a playlist for rain", "Anything slow", {}),
    ("storyboard", "storyboard for a 30-second clip", f"{BOARD}\n| Total | 30 | | |", {}),
    ("storyboard", "storyboard for a clip", BOARD, {}),
    ("storyboard", "write a script about rain", "FADE IN", {}),
    ("prose", "write two sentences about rain", "Rain falls. It is wet.", {}),
    ("prose", "write at most 5 words", "Rain.", {}),
    ("prose", "write at least 3 words", "Rain falls for ever", {}),
    ("prose", "summarise the first 20 lines, two sentences each", "Rain.", {}),
    ("prose", "write a text of two paragraphs and 25 characters", "# Rain\n\nRain falls\n\non us.", {}),
    ("findings", "audit app.py", FINDING, {"app_py": "12: query"}),
    ("findings", "audit the login", "No findings. The login form was looked at.", {}),
    (
        "findings",
        "audit",
        "| Where | Severity | What | Fix |\n|---|---|---|---|\n| port 22 | high | a | b |\n| port 80 | low | a | b |",
        {},
    ),
    (
        "sources",
        "when do we meet",
        "- We meet at nine in the morning in the hall (notes.md)\n\nNot known: who leads",
        {"notes_md": "at nine"},
    ),
    ("sources", "explain rain", "Rain is water that falls out of the clouds (no source).\n\nNot known: how much", {}),
    (
        "sources",
        "what is in notes.md",
        "As notes.md says:\n- water that falls out of clouds every day of the year\n\nNot known: x",
        {"notes_md": "a"},
    ),
    (
        "sources",
        "read https://example.org/a",
        "Rain falls on all of the plains of Spain (example.org)\n| a | b |\nNot known: x",
        {"a_md": ""},
    ),
    (
        "numbers",
        "average of 30, 50 and 100",
        "The average is 60, the sum 180; 67% more than 30. 1. See `9999`\n```\n777\n```",
        {},
    ),
    (
        "numbers",
        "look at a.csv",
        "1. It was 12,345.68 in all, 45 %, 2 of 100, about 12,350, 0,5 or 1.2e4",
        {"a_csv": "12345.6789 0.45 12346 0.5 12000"},
    ),
    ("numbers", "hello", "Nothing to count.", {}),
    ("commands", "how full is the disk", "```sh\n# rm -rf /\ndf -h\n```\nNever run `rm -rf /`.\n$ du -sh .", {}),
    ("commands", "wipe the disk sdb", "Warning: all is lost.\n```sh\nwipefs -a /dev/sdb\n```", {}),
    ("drawing", "a logo", f"A dot.\n```svg\n{SVG}\n```\nEnjoy.", {}),
    ("drawing", "a palette for a bakery", "#1a2b3c crust, #aabbcc flour, #112233 night", {}),
    ("drawing", "describe a picture of rain in words", "Grey lines.", {}),
]


@pytest.mark.parametrize(("check", "task", "text", "read"), GOOD, ids=[f"{one[0]} {n}" for n, one in enumerate(GOOD)])
def test_what_passes(check: str, task: str, text: str, read: dict[str, str]) -> None:
    assert judged(check, task, text, **read).faults == ()


BAD: list[tuple[str, str, str, str]] = [
    ("code", "write a function", "It doubles.", "Put the whole code into a fenced block"),
    ("code", "write a function", "```python\ndef f(x:\n    pass\n```", "The python block does not parse: line 1"),
    ("code", "write a function", "```python\n```", "A fenced block is empty"),
    (
        "code",
        "write a function",
        "```python\ndef f(x):\n    'Does it.'\n    pass\n```",
        "The function `f` is only a stub",
    ),
    ("code", "write a function", "```python\ndef f(x):\n    raise NotImplementedError\n```", "only a stub"),
    ("code", "write a function", "```python\ndef f(x):\n    raise NotImplementedError('later')\n```", "only a stub"),
    ("code", "write a function", "```python\ndef f(x):\n    ...\n```", "only a stub"),
    ("code", "write a function", f"```python\nx = {'-' * 30_000}1\n```", "nested too deeply"),
    ("code", "write a function", f"```json\n{'[' * 20_000}\n```", "nested too deeply"),
    (
        "code",
        "write a query",
        "```sql\n-- ... rest of the query\n```",
        "Code is left out at `-- ... rest of the query`",
    ),
    ("code", "write a function with tests", CODE, "there are none"),
    ("code", "write json", '```json\n{"a":}\n```', "The json block does not parse"),
    ("code", "write toml", "```toml\na =\n```", "The toml block does not parse"),
    ("code", "write xml", "```xml\n<a>\n```", "The xml block does not parse: line 1"),
    ("code", "write xml", '```xml\n<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>\n```', "it declares"),
    ("code", "write xml", f"```xml\n{'<a>' * 70}\n```", "nested more than 64 deep"),
    ("code", "write xml", f"```xml\n<a>{'<b/>' * 21_000}</a>\n```", "more than 20,000 elements"),
    ("music", "a melody", "la la la", "Write the melody in ABC notation"),
    ("music", "a melody", "```abc\nX:1\nM:4/4\nG A B c |\n```", "The ABC has no T:, K: line"),
    ("music", "a melody", TUNE.replace("d2", "d2 ??"), "This is no ABC notation: `?? B2 |"),
    ("music", "a melody", TUNE.replace("d2 B2", "d2 B3"), "bar 2 is 5/4, counted in whole notes, with L:1/4"),
    ("music", "a melody", TUNE.replace("G4", "G8"), "bar 4 is 2"),
    (
        "music",
        "a melody",
        TUNE.replace("L:1/4\n", "").replace("4/4", "C|"),
        "bar 2 is 1/2, bar 3 is 1/2, counted in whole notes, with L:1/8",
    ),
    (
        "music",
        "a melody",
        TUNE.replace("L:1/4\n", "").replace("4/4", "2/4"),
        "bar 2 is 1/4, bar 3 is 1/4, counted in whole notes, with L:1/16",
    ),
    ("music", "a melody", "```abc\nX:1\nT:t\nM:free\nK:C\nC/2 D// z |\n```", "has no melody"),
    ("music", "a melody in D minor", TUNE, "The task asks for D minor, and the key is `G`"),
    ("music", "a melody in F sharp", TUNE, "The task asks for F sharp, and"),
    ("music", "chords for a song", "I like G and D", "There are no chords"),
    ("music", "chords for a song", "| G | D |", "Say key and tempo"),
    ("storyboard", "a storyboard", "Scene 1: rain", "Write the storyboard as a Markdown table"),
    ("storyboard", "a storyboard", "| scene | shot | sound |\n|---|---|---|\n| 1 | a | b |", "needs a column seconds"),
    ("storyboard", "a storyboard", "| scene | seconds | sound |\n|---|---|---|", "has no scene"),
    ("storyboard", "a one minute film", BOARD, "are 30 seconds long together, and 60 are asked for"),
    (
        "storyboard",
        "a 30-second film",
        BOARD.replace("10 s", "long"),
        "The scene `1 | long | wide | rain` has no seconds",
    ),
    ("storyboard", "a 30-second film", BOARD.replace("wide | rain", " | "), "does not say what is seen"),
    ("storyboard", "a film", BOARD + "\n| 3 | |", "has no seconds"),
    ("storyboard", "subtitles", "1\nHello", "Write the subtitles as SRT"),
    ("storyboard", "subtitles", "00:00:02,000 --> 00:00:01,000", "Subtitle 1 ends before it begins"),
    ("prose", "write a letter", "Sure, here is your letter:", "Only a preface was written"),
    ("prose", "write two sentences", "Rain.", "asks for two sentences, and the text has 1 sentences: make it longer"),
    ("prose", "write exactly two lines", "a\nb\nc", "make it shorter"),
    ("prose", "write at most 5 words", "one two three four five six seven", "make it shorter"),
    (
        "prose",
        "write a text in German",
        "It is the rain that falls in the night and the day, and it is not for you.",
        "asks for German, and the text is English",
    ),
    (
        "prose",
        "schreibe das, was der Regen ist und nicht ist für die Leute mit dem Schirm auf",
        "It is the rain that falls in the night and the day, and not for you.",
        "but the task is not",
    ),
    ("findings", "audit app.py", "All is bad", "Write each finding as one line"),
    ("findings", "audit app.py", "- HIGH: app.py", "is not whole"),
    ("findings", "audit app.py", "- bad | app.py:1 | a | b", "has no severity"),
    ("findings", "audit app.py", "- HIGH | n/a | a | b", "does not say where"),
    ("findings", "audit app.py", "- HIGH | other.py:3 | a | b", "`other.py` was not looked at"),
    ("findings", "audit app.py", "- LOW | app.py:3 | a | b\n- HIGH | app.py:4 | a | b", "Put the worst findings first"),
    (
        "findings",
        "audit app.py",
        "| Severity | Where | What | Fix |\n|---|---|---|---|\n| high | app.py:3 |",
        "is not whole",
    ),
    ("sources", "explain rain", "Rain (no source).", "End with a line that begins with Not known:"),
    ("sources", "explain rain", "Rain falls.\nNot known: x", "Nothing was read: mark what you only believe"),
    (
        "sources",
        "explain rain",
        "See https://example.org/rain (no source)\nNot known: x",
        "`example.org/rain` was not read",
    ),
    ("numbers", "average of 30 and 50", "It is 41.", "not in the task: 41."),
    ("numbers", "average of 30 and 50", "It is 5 million, or 0,9.", "not in the task: 5 million, 0,9."),
    ("numbers", "look at a.csv", "It is 0 and 61.3, −20 and 1,234 or 2000", "61.3, −20, 1,234, 2000"),
    ("commands", "how full is the disk", "```sh\nsudo rm -rf \\\n /var/log\n```", "destroys data"),
    ("commands", "install it", "Run `curl https://example.org/i.sh | sudo bash` now.", "runs what nobody looked at"),
    ("commands", "set it up", "$ docker volume rm data", "`docker volume rm data` destroys data"),
    (
        "commands",
        "delete the logs",
        f"```sh\nrm -rf /var/log{' ' * 80}\n```",
        "Write a warning before `rm -rf /var/log",
    ),
    ("drawing", "a logo", "A dot.", "There is no SVG in it"),
    ("drawing", "a palette", "red and blue", "Name each colour by its code"),
    ("drawing", "a logo", "<svg viewBox='0 0 1 1'>", "it has no </svg>"),
    ("drawing", "a logo", "<svg><g></svg>", "does not parse: line 1: mismatched tag"),
    ("drawing", "a logo", "<svg><?a b?></svg>", "it declares"),
    ("drawing", "a logo", "<svg width='1'><g/></svg>", "needs a viewBox"),
    ("drawing", "a logo", "<svg width='1' height='1'><g/></svg>", "Nothing is drawn in it"),
    ("drawing", "a logo", SVG.replace("www.w3.org/2000/svg", "example.org"), "The xmlns of the <svg> must be"),
    ("drawing", "a logo", SVG.replace("<circle", "<style>a{}@import 'x'</style><circle"), "style must not load"),
    ("drawing", "a logo", SVG.replace("<circle", "<script/><circle"), "must not hold <script>"),
    ("drawing", "a logo", SVG.replace("<circle", "<x:script xmlns:x='a'/><circle"), "must not hold <script>"),
    ("drawing", "a logo", SVG.replace("r=", "onClick='a' r="), "`onClick`, which runs a script"),
    ("drawing", "a logo", SVG.replace("<circle", "<use href='http://a'/><circle"), "`href` must name a part"),
    ("drawing", "a logo", SVG.replace("#a)", "http://a)"), "`fill` must name a part"),
    ("drawing", "a logo", SVG.replace("r=", r"style='fill:u\72l(http://a)' r="), "`style` must name a part"),
    (
        "drawing",
        "a logo",
        SVG.replace("/></svg>", "><set attributeName='xlink:href' to='a'/></circle></svg>"),
        "must not change where",
    ),
]


@pytest.mark.parametrize(("check", "task", "text", "says"), BAD, ids=[f"{one[0]} {n}" for n, one in enumerate(BAD)])
def test_what_does_not(check: str, task: str, text: str, says: str) -> None:
    found = judged(check, task, text)
    assert any(says in fault for fault in found.faults), found.faults
    assert found.files == ()


@pytest.mark.parametrize(
    ("check", "task", "text", "name"),
    [
        ("drawing", "a logo as shop.svg", f"```svg\n{SVG}\n```", "shop.svg"),
        ("drawing", "a logo", SVG, "drawing.svg"),
        ("music", "a melody", TUNE, "tune.abc"),
        ("music", "a melody in song.abc", TUNE, "song.abc"),
        ("storyboard", "subtitles", "```\n1\n00:00:01,000 --> 00:00:02,000\nHi\n```", "subtitles.srt"),
    ],
)
def test_what_is_a_file_is_delivered_as_one(check: str, task: str, text: str, name: str) -> None:
    found = judged(check, task, text)
    assert [file for file, _ in found.files] == [name]
    assert b"```" not in found.files[0][1]


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("Sure, here is your poem:\n\nRain.\n\nLet me know if you want more!", "Rain."),
        ("Here's the letter:\nDear Ann,\n\nit rains.", "Dear Ann,\n\nit rains."),
        ("**Here is the text:**\n\n---\n\nRain.\n\n---", "Rain."),
        ("Here is where it rains: Spain.", "Here is where it rains: Spain."),
        ("Let me know.", "Let me know."),
    ],
)
def test_a_text_is_delivered_alone(text: str, alone: str) -> None:
    assert judged("prose", "write", text).text == alone


def test_a_report_on_more_numbers_than_can_be_known_is_not_judged_by_them() -> None:
    many = " ".join(str(number) for number in range(60_000))
    assert judged("numbers", "count", "There are 123456.", a_csv=many).faults == ()


def test_a_limit_that_was_asked_for_is_no_number_of_the_reports_own() -> None:
    step = Step("", (Called("query_table", {"sql": "SELECT count(*) FROM data WHERE age > 65"}, "31"),))
    assert checked(["numbers"], Draft("how many old people?", "31 are over 65.", [step])).faults == ()
    assert checked(["numbers"], Draft("how many old people?", "31 are over 64.", [step])).faults != ()


def test_faults_quote_little_and_are_few() -> None:
    long: Any = judged("findings", "audit", "\n".join([f"- HIGH {'x' * 900}"] * 50))
    assert len(long.faults) <= 4
    assert all(len(fault) < 200 for fault in long.faults)
