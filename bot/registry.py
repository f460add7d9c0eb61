"""Slash commands, each declared once: `@command` gives its usage, help, right and place, and everything else reads them.

The usage line is the parser: `/task WHAT [max=SATS] [by=DURATION]` says what is required, what each value is (its
capital letters name a type below), and where prose takes the rest of the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from core.access import PRIVATE, Action, judge
from core.approval import parse_approval
from core.chat import MAX_TEXT, Caller, CommandCall
from core.errors import UserError
from core.ids import parse_schedule, parse_task
from core.language.words import bag
from core.money import parse_sats
from core.swarm.task import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from bot.hub import Hub
    from core.chat import Inbound, Reply, Role

Run = TypeVar("Run", bound="Callable[[Hub, CommandCall], Awaitable[Reply]]")

# What phones put in for the quotes and dashes that were typed.
_SMART = str.maketrans("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019\u2013\u2014", '"""""\'\'--')
_COMMAND = re.compile(r"[/]([A-Za-z][A-Za-z_]*)(?:@\w+)?(?=\s|$)")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MAX_HELP = 256
"""What the strictest surface, Telegram's menu, takes as a command's name and help."""

_TYPO = 0.75
"""How like an option's name a word must be to be taken for it, misspelt (difflib's ratio)."""

_NEAR = 0.65
"""How like a command's name a word must be to be taken for it: /hlep is /help, /nope is nothing."""

_DURATION = re.compile(r"([0-9]{1,6})([smhd])", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ALIKE = {
    "max": bag(
        "budget limit price cost costs maximum most cap ceiling pay bounty reward fee amount sat sats bid offer spend",
        "maxprice maxbudget maxcost maxsat maxsats maxpay costlimit pricelimit",
    ),
    "by": bag("deadline due within until till timeout eta timelimit"),
    "eta": bag("by in time deadline due within until duration"),
    "to": bag("agent worker only assignee assign"),
    "model": bag("llm models modelname usemodel"),
    "pick": bag("choose choice select winner award"),
}
"""Words that people write for an option: a limit under another name must not pass as text."""

_SAID = {"SATS": r"(?:(?:-|minus )?[0-9][0-9_,.]*k?|zero)(?:sats?)?", "DURATION": r"[0-9]+[smhd]"}
"""What looks like a value, right or wrong."""

_LIMITS = {
    "SATS": r"{key}:? {value}|(?:{key}|for|under|below|up to|than)(?: of| is)? {value} ?sats?",
    "DURATION": r"{key}:? {value}",
}
"""How a line ends that sets a limit in words: `max 10`, `for at most 10 sats`, `within 2h`."""
_LONGEST_LIMIT = 6

_AMOUNTS = frozenset({"SATS", "AMOUNT"})
_NAMES = frozenset({"ACTOR", "IDENTITY"})
"""What is an id or a name. An id is read as it is written: quotes, dashes and signs mean themselves in it."""

_PROSE = frozenset({"WHAT", "TEXT", "RESULT", "WHY", "NOTE", "MEMO"})


class UnknownCommand(UserError):
    """There is no command /{given}. {nearest}/help lists them all."""

    status = 404


class MissingArgument(UserError):
    """/{command} needs {what}. Usage: {usage}"""


class TooMany(UserError):
    """/{command} does not know what to do with {given}. Usage: {usage}"""


class TwiceGiven(UserError):
    """{option}= was given twice, and differently. Usage: {usage}"""


class BadOption(UserError):
    """/{command} has no option {given}.{instead} Usage: {usage}"""


class BadChoice(UserError):
    """{given} is not one of {choices}. Usage: {usage}"""


class BadDuration(UserError):
    """{given} is not a duration of 30 days at most. Write 90s, 10m, 2h or 1d."""


class BadNumber(UserError):
    """{given} is not a whole number from 1 to 999,999."""


class BadEntry(UserError):
    """{given} is not the number of an entry. /history without from= begins with the newest."""


class BadStatus(UserError):
    """There is no task status {given}. Statuses: {known}."""


class MessageEmpty(UserError):
    """The message is empty. Write a question, or /help for what I can do."""


class MessageTooLong(UserError):
    """The message is longer than the {limit} bytes that are taken. Put the text into a file of the workspace instead."""

    status = 413


def parse_duration(text: str) -> int:
    """Milliseconds of `90s 10m 2h 1d`."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise BadDuration(given=repr(text[:40]))
    return int(found[1]) * _UNITS[found[2].lower()] * 1000


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise BadNumber(given=repr(text[:40]))
    return int(text)


def _entry(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise BadEntry(given=repr(text[:40]))
    return int(text)


class ZeroLimit(UserError):
    """A limit is 1 sat at least. Write 1 for the strictest one; to stop all spending say /freeze, and off takes a limit away."""


def _amount(text: str) -> int | None:
    """Whole sats, or None for `off`."""
    if text.lower() == "off":
        return None
    if re.fullmatch(r"0+\s?(?:sats?)?", text.strip(), re.IGNORECASE):
        raise ZeroLimit
    return parse_sats(text)


def _status(text: str) -> Status:
    if text.lower() not in set(Status):
        raise BadStatus(given=repr(text[:40]), known=", ".join(Status))
    return Status(text.lower())


def _fact(text: str) -> int:
    from core.agent.memory import parse_fact  # noqa: PLC0415 - for the first who names one

    return parse_fact(text)


def _model(text: str) -> str:
    from core.agent.model import sayable  # noqa: PLC0415 - for the first who names one

    return sayable(text)


_TYPES: Mapping[str, Callable[[str], object]] = {
    "SATS": parse_sats, "DURATION": parse_duration, "T": parse_task, "ID": parse_approval,
    "AMOUNT": _amount, "N": _number, "ENTRY": _entry, "STATUS": _status, "FACT": _fact,
    "S": parse_schedule, "MODEL": _model,
}  # fmt: skip


class Argument(NamedTuple):
    """One argument of a usage line: `name` in lower case; `kind` names its type, or lists choices as `auto|ask`.

    `joined`: it stands in one bracket with the argument before it, and is required where that is given.
    """

    name: str
    kind: str
    required: bool
    keyed: bool
    joined: bool = False

    @property
    def prose(self) -> bool:
        """Whether it takes the rest of the line."""
        return not self.keyed and self.kind in _PROSE


def parse_usage(usage: str) -> tuple[Argument, ...]:
    """The arguments of a usage line."""
    found, joined = [], False
    for part in usage.split()[1:]:
        required, inner = not part.startswith("[") and not joined, part.strip("[]")
        key, keyed, kind = inner.rpartition("=")
        found.append(Argument((key or kind).lower(), kind, required, bool(keyed), joined))
        joined = (joined or part.startswith("[")) and not part.endswith("]")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Command:
    """A declared command.

    `control` commands overtake everything their conversation is busy with; `talk` commands take their
    turn among the questions to the agent, and those that `interrupt` stop the one being answered. Those that only
    `read` act by themselves when free text means them; all others are asked back first. One that reads only where it is said
    `bare`, without an argument, changes something with one.
    """

    name: str
    usage: str
    help: str
    group: str
    run: Callable[[Hub, CommandCall], Awaitable[Reply]]
    action: Action | None = None
    control: bool = False
    talk: bool = False
    interrupts: bool = False
    reads: bool = False
    arguments: tuple[Argument, ...] = field(default=())
    bare: bool = False
    own: bool = False
    """Whether who may do that with their own may call it: what it acts on decides."""
    slow: bool = False
    """Whether it may take hours: it waits for others of its kind only, and holds up nothing."""
    notes: tuple[str, ...] = ()
    """What /help COMMAND and the docs say beyond the help: a line for each option, and what else is good to know."""

    def looks(self, text: str) -> bool:
        """Whether it only reads, said as this text."""
        return self.reads or (self.bare and len(text.split(maxsplit=1)) < 2)  # noqa: PLR2004 - the command alone

    def timed(self, text: str) -> bool:
        """Whether a schedule may say it as this text: it only reads, asks the agent, or posts a task."""
        return self.looks(text) or self.name == "ask" or self.action is Action.POST

    @property
    def private(self) -> bool:
        """Whether only its caller may read the answer."""
        return self.action in PRIVATE


class Registry:
    """All commands of the hub, and the parser of what people type."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def __iter__(self) -> Iterator[Command]:
        """All commands in the order of their declaration."""
        return iter(self._commands.values())

    def described(self) -> list[tuple[str, str]]:
        """Usage and help of every command, for completion."""
        return [(one.usage, one.help) for one in self]

    def command(  # noqa: PLR0913 - what is declared of a command
        self,
        usage: str,
        text: str,
        *,
        group: str,
        action: Action | None = None,
        control: bool = False,
        talk: bool = False,
        interrupts: bool = False,
        reads: bool = False,
        bare: bool = False,
        own: bool = False,
        slow: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Callable[[Run], Run]:
        """Declare a command by its usage line, its one-line help, and notes on its options."""

        def declare(run: Run) -> Run:
            name = usage.split(maxsplit=1)[0].removeprefix("/")
            if not _NAME.fullmatch(name) or len(text) > _MAX_HELP:
                raise ValueError(f"no surface could show the command {usage!r}: {text!r}")
            self._commands[name] = Command(
                name,
                usage,
                text,
                group,
                run,
                action,
                control,
                talk,
                interrupts,
                reads,
                parse_usage(usage),
                bare,
                own,
                slow,
                notes,
            )
            return run

        return declare

    def find(self, name: str) -> Command | None:
        """A command by name, in any case; None if there is none."""
        return self._commands.get(name.lower().removeprefix("/"))

    def menu(self, role: Role, *, private: bool) -> list[tuple[str, str]]:
        """Name and help of the commands that somebody of this role has use for, in a private chat or in a group."""
        caller = Caller("", role, private)
        return [
            (one.name, one.help)
            for one in self
            if (private or not one.private) and (one.action is None or judge(caller, one.action, own=one.own).allowed)
        ]

    def get(self, name: str) -> Command:
        """A command by name, in any case. Raises `UnknownCommand`, naming the nearest."""
        found = self.find(name)
        if found is None:
            raise self._unknown(name)
        return found

    def _unknown(self, name: str) -> UnknownCommand:
        import difflib  # noqa: PLC0415 - for the first who misspells one

        near = difflib.get_close_matches(name.lower(), self._commands, n=1, cutoff=_NEAR)
        given = "".join(one if one.isprintable() else repr(one)[1:-1] for one in name[:40])
        return UnknownCommand(given=given, nearest=f"Did you mean /{near[0]}? " if near else "")

    def route(self, message: Inbound) -> Command:
        """The command a message means; plain text is /ask. Raises `UserError` for what cannot be meant."""
        if len(message.text.encode(errors="surrogatepass")) > MAX_TEXT:
            raise MessageTooLong(limit=f"{MAX_TEXT:,}")
        if not message.text.strip():
            raise MessageEmpty
        if not message.text.startswith("/"):
            return self.get("ask")
        found = _COMMAND.match(message.text)
        if found is None:
            raise self._unknown(next(iter(message.text[1:41].split()), ""))
        return self.get(found[1])

    def call(self, command: Command, message: Inbound, caller: Caller) -> CommandCall:
        """The call that a message means, its arguments parsed."""
        found = _COMMAND.match(message.text)
        rest = message.text[found.end() :].strip() if found else message.text
        args: dict[str, object] = {}
        if command.arguments:
            args = {"text": rest} if not found else parse_arguments(command, rest)
        elif rest and found:
            raise TooMany(command=command.name, given=repr(rest[:40]), usage=command.usage)
        return CommandCall(
            command.name, args, caller, message.conversation, message.key, message.text, called=message.name
        )


def parse_arguments(command: Command, rest: str) -> dict[str, object]:
    """The values of a command's arguments by name; absent ones are left out. Raises `UserError` with the usage."""
    rest = rest.replace("\0", "")
    if command.arguments[0].kind == "WHEN":
        return _timed(command, rest)
    if command.arguments[0].kind in _NAMES and re.fullmatch(r"[a-z]+:\S+", rest):
        return {command.arguments[0].name: rest}
    args, words, cuts = _options(command, rest)
    before = ""
    for argument in (one for one in command.arguments if not one.keyed):
        if argument.prose and words:
            prose = args[argument.name] = _prose(rest, words[0][1], cuts)
            _refuse_limit(command, prose, args)
            words = []
        elif words:
            args[argument.name] = _value(command, argument, words.pop(0)[0])
            if argument.kind in _AMOUNTS and words and _UNIT.fullmatch(words[0][0]):
                words.pop(0)
        elif argument.required or (argument.joined and before in args):
            raise MissingArgument(command=command.name, what=argument.kind, usage=command.usage)
        before = argument.name
    if words:
        wrong = BadOption if "=" in words[0][0] else TooMany
        raise wrong(command=command.name, given=repr(words[0][0][:40]), usage=command.usage, instead="")
    return args


def _timed(command: Command, rest: str) -> dict[str, object]:
    """`/every WHEN COMMAND`: where the one ends and the other begins, the time itself says."""
    from core.automation.when import read_line  # noqa: PLC0415 - for the first who plans

    if not rest:
        raise MissingArgument(command=command.name, what="WHEN and COMMAND", usage=command.usage)
    line = read_line(rest, every=command.name == "every")
    return {"when": line.when, "command": line}


def _options(command: Command, rest: str) -> tuple[dict[str, object], list[tuple[str, int]], list[tuple[int, int]]]:
    """The values given as `key=value`, the other words with where they begin, and where the options stand."""
    keyed = {argument.name: argument for argument in command.arguments if argument.keyed}
    args: dict[str, object] = {}
    words: list[tuple[str, int]] = []
    cuts: list[tuple[int, int]] = []
    unit = False
    found = _words(rest)
    for (word, start, end, quoted), (after, *_) in zip(found, [*found[1:], ("", 0, 0, False)], strict=False):
        key, equals, value = word.partition("=")
        option = keyed.get(key.lower()) if equals and not quoted else None
        if option is not None:
            given = _value(command, option, value)
            if args.setdefault(option.name, given) != given:
                raise TwiceGiven(option=key.lower(), usage=command.usage)
        elif not (unit and _UNIT.fullmatch(word)):
            if not quoted:
                _refuse_misspelt(command, keyed, word, after)
            words.append((word, start))
            unit = False
            continue
        cuts.append((start, end))
        unit = option is not None and option.kind == "SATS"
    return args, words, cuts


def _refuse_misspelt(command: Command, keyed: Mapping[str, Argument], word: str, after: str) -> None:
    """A word with a sign that plainly means an option must not pass as text: `budget=10`, `mx=10`, `max = 10`, `max:10`."""
    key, equals, _ = word.partition("=")
    apart = not equals and after.startswith("=") and not after.startswith("==")
    option = _meant(keyed, key) if equals or apart else None
    if option is None and equals and key.isalpha():
        import difflib  # noqa: PLC0415 - for the first who misspells

        option = next(iter(difflib.get_close_matches(key.lower(), keyed, n=1, cutoff=_TYPO)), None)
    if option is None and not equals:
        option = _with_colon(keyed, word)
    if option is not None:
        raise _misspelt(command, keyed[option], f"{word} {after}" if apart else word)


def _with_colon(keyed: Mapping[str, Argument], word: str) -> str | None:
    """The option that `max:10` or `to:echo` means."""
    key, _, value = word.partition(":")
    option = _meant(keyed, key) if value else None
    fits = option and re.fullmatch(_SAID.get(keyed[option].kind, ".+"), value, re.IGNORECASE)
    return option if fits else None


def _refuse_limit(command: Command, prose: str, args: Mapping[str, object]) -> None:
    """Prose that ends with a limit in words means an option, unless that option is given too."""
    tail = " ".join(prose.translate(_SMART).split()[-_LONGEST_LIMIT:]).rstrip(".!")
    for option in command.arguments:
        if option.keyed and option.kind in _LIMITS and option.name not in args:
            key = f"-*(?:{'|'.join([option.name, *_ALIKE.get(option.name, ())])})"
            limit = _LIMITS[option.kind].format(key=key, value=_SAID[option.kind])
            if found := re.search(rf"(?<!\S)(?:{limit})\Z", tail, re.IGNORECASE):
                raise _misspelt(command, option, found[0])


def _misspelt(command: Command, option: Argument, given: str) -> BadOption:
    instead = f" Write {option.name}={option.kind} without blanks, or put it in quotes if it is text."
    return BadOption(command=command.name, given=repr(given[:40]), usage=command.usage, instead=instead)


def _meant(keyed: Mapping[str, Argument], key: str) -> str | None:
    """The option that a word is a name of, its own or one that people use."""
    plain = key.lower().replace("-", "").replace("_", "")
    if plain in keyed:
        return plain
    return next((option for option in keyed if plain in _ALIKE.get(option, ())), None)


def _prose(rest: str, start: int, cuts: list[tuple[int, int]]) -> str:
    """The rest of the line from `start`, as written, without the options that stand in it."""
    pieces = []
    for begin, end in cuts:
        if begin >= start:
            pieces.append(rest[start:begin].rstrip())
            start = end
    return "".join([*pieces, rest[start:]]).strip()


def _value(command: Command, argument: Argument, text: str) -> object:
    if not text:
        raise MissingArgument(command=command.name, what=f"a value for {argument.name}", usage=command.usage)
    if "|" in argument.kind:
        choices = argument.kind.split("|")
        if text.lower() in choices:
            return text.lower()
        if not choices[-1].isupper():  # a type, which takes all else
            raise BadChoice(given=repr(text[:40]), choices=" or ".join(choices), usage=command.usage)
        return _TYPES.get(choices[-1], str)(text)
    kind = "S" if (command.name, argument.kind) == ("unschedule", "ID") else argument.kind
    return _TYPES.get(kind, str)(text)


# A quote opens where a word or a value begins and closes where it ends; any other is an apostrophe, or inches.
_PIECE = re.compile(r"""(?:(?<![^\s=])(?P<quote>["'])(?:(?!(?P=quote)).)*(?P=quote)(?!\S)|\S)+""", re.DOTALL)
_UNIT = re.compile(r"sats?", re.IGNORECASE)


def _words(rest: str) -> list[tuple[str, int, int, bool]]:
    """Words and quoted phrases: (value, start, end, whether a quote opened it)."""
    found = []
    for piece in _PIECE.finditer(rest.translate(_SMART)):
        key, equals, value = piece.group().partition("=")
        quoted = key[:1] in {'"', "'"}
        plain = _unquoted(piece.group()) if quoted else key + equals + _unquoted(value)
        found.append((plain, piece.start(), piece.end(), quoted))
    return found


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


registry = Registry()
command = registry.command
