"""The defences by name, each with the switch that takes just it out of a hub, to see that it is what holds."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import core.access
import core.agent.calls
import core.agent.loop
import core.agent.prompt
import core.agent.tool
import core.approval
import core.chat
from core.agent.tool import Way
from core.chat import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    import pytest

    from core.agent.model import ToolCall
    from tests.attacks.world import World


@dataclass(frozen=True)
class Defence:
    """What holds, in a sentence; `off` takes it out before the hub is built, `inside` once it runs."""

    says: str
    off: Callable[[pytest.MonkeyPatch], None] = lambda _: None
    inside: Callable[[World], None] = lambda _: None


def everywhere(patch: pytest.MonkeyPatch, original: object, instead: object) -> None:
    """Put something in the place of a function in every module that has it."""
    for module in [*sys.modules.values()]:
        for name, value in [*getattr(module, "__dict__", {}).items()]:
            if value is original:
                patch.setattr(module, name, instead)


class _All:
    def __contains__(self, _: object) -> bool:
        return True


_judge = core.agent.tool.judge


def _unjudged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.agent.loop.judge", lambda *_, **__: Way.RUN)


def _untainted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.agent.loop.judge", lambda *a, **k: _judge(*a, **{**k, "tainted": False}))


def _unnamed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.agent.loop.judge", lambda *a, **k: _judge(*a, **{**k, "named": _All()}))


def _links(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.agent.loop._Calls._looked", lambda _: False)


def _nested(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.agent.calls._nested", lambda _: False)
    patch.setattr("core.agent.calls._too_deep", lambda _: False)


def _limit(name: str, value: object = 10**9) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(name, value)


def _any_rounds(patch: pytest.MonkeyPatch) -> None:
    scene = core.agent.loop.Scene
    defaults = tuple({**scene._field_defaults, "rounds": 10**9}.values())
    patch.setattr(scene.__new__, "__defaults__", defaults)


def _raw(patch: pytest.MonkeyPatch) -> None:
    everywhere(patch, core.agent.prompt.plain, lambda text: text)


def _unreadable(patch: pytest.MonkeyPatch) -> None:
    everywhere(patch, core.chat.readable, lambda text: text)


def _unfenced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.agent.prompt._FENCE", re.compile(r"(?!)()"))


def _any_path(patch: pytest.MonkeyPatch) -> None:
    """A path helper that takes every name at its word."""

    @contextmanager
    def opened(self: Any, path: str) -> Iterator[BinaryIO]:
        with (self.root / path).open("rb") as file:
            yield file

    def root_of(self: Any, path: str) -> Path:
        found: Path = self.root / path
        return found

    patch.setattr("adapters.skills.workspace.Workspace.find", lambda _, name: name)
    patch.setattr("adapters.skills.workspace.Workspace.open", opened)
    patch.setattr("adapters.skills.workspace.Workspace.is_folder", lambda self, path: root_of(self, path).is_dir())


def _anybody_agrees(patch: pytest.MonkeyPatch) -> None:
    decide = core.approval.decide

    def for_anybody(found: Any, actor: str, role: Role, **how: Any) -> Any:
        return decide(found._replace(approvers=(actor,), askers=(), asked_by="", needs=Role.MEMBER), actor, role, **how)

    patch.setattr("bot.approvals.decide", for_anybody)


def _goes_on_for_anybody(patch: pytest.MonkeyPatch) -> None:
    from bot.tooling import Agreed, Tooling, _key, _read  # noqa: PLC0415
    from core.agent.session import Called  # noqa: PLC0415

    async def agreed(self: Any, _: object, __: str, number: int) -> Agreed:
        found, result = await self._store.read(lambda tx: (tx.approvals.find(number), tx.applied(_key(number))))
        asked, output = json.loads(found.action), _read(result)
        return Agreed(found.name, Called(asked["tool"], asked["arguments"], output.text, output.outside, output.files))

    patch.setattr(Tooling, "agreed", agreed)


def _asked_again(patch: pytest.MonkeyPatch) -> None:
    from bot.approvals import Approvals  # noqa: PLC0415

    ask = Approvals.ask
    patch.setattr(Approvals, "ask", lambda *a, **k: ask(*a, **{**k, "once": False}))


def _calls_anywhere(patch: pytest.MonkeyPatch) -> None:
    strict = core.agent.calls.calls_in

    def anywhere(text: str, known: Any) -> list[ToolCall]:
        found = re.search(r"\{.*\}", text, re.DOTALL)
        return strict(text if found is None else found[0], known)

    patch.setattr("core.agent.loop.calls_in", anywhere)


def _one_memory(patch: pytest.MonkeyPatch) -> None:
    from core.agent.memory import Owner, Scope  # noqa: PLC0415
    from tests.attacks.world import ANN  # noqa: PLC0415

    patch.setattr("core.agent.notebook.Notebook._owners", lambda *_: [Owner(Scope.PERSON, ANN)])


def _one_conversation(patch: pytest.MonkeyPatch) -> None:
    from adapters.sqlite import agent_store  # noqa: PLC0415
    from core.agent.session import Turn  # noqa: PLC0415

    def recent(self: Any, _: str, limit: int) -> list[Turn]:
        rows = self._connection.execute("SELECT role, text, cause FROM turn ORDER BY id LIMIT ?", (limit,)).fetchall()
        return [Turn(*row) for row in rows]

    store = next(one for one in vars(agent_store).values() if isinstance(one, type) and "recent" in vars(one))
    patch.setattr(store, "recent", recent)


def _never_new(patch: pytest.MonkeyPatch) -> None:
    async def new(*_: object) -> None:
        """Nothing is left behind."""

    patch.setattr("core.agent.agent.Assistant.new", new)


def _seen_by_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("bot.reading.authorize", lambda *_: None)


def _all_addresses(patch: pytest.MonkeyPatch) -> None:
    from yarl import URL  # noqa: PLC0415

    patch.setattr("adapters.fetch.fetcher.checked", lambda text, _: URL(text))
    patch.setattr("adapters.fetch.addresses.check_address", lambda *_, **__: None)
    patch.setattr("adapters.fetch.fetcher.check_address", lambda *_, **__: None)


def _unspelt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("bot.tooling.spelt", lambda text: text)


def _unseen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("bot.tooling._all_seen", lambda *_: True)


def _short_words(patch: pytest.MonkeyPatch) -> None:
    from adapters.tools import declared  # noqa: PLC0415

    everywhere(patch, declared.whole, declared.said)


def _shown_markup(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.agent.loop.cut", lambda text, _: text)


D = {
    "no path": Defence(
        "no tool says slash commands, pays, posts or decides: the toolbox is a list made at the start",
        inside=lambda w: w.slash(),
    ),
    "asked": Defence("a call that changes anything is put to its person first (`judge`)", _unjudged),
    "taint": Defence("a turn that was given a text from outside asks before it writes (`judge`)", _untainted),
    "named": Defence("an address that nobody named is put to a person first (`judge`)", _unnamed),
    "links": Defence("once anything else was looked at, a page's links are not named by it (`_Calls._named`)", _links),
    "paths": Defence("the one path helper: real paths inside the workspace, no closed names (`Workspace`)", _any_path),
    "approver": Defence("only whoever it would be done for agrees (`decide`)", _anybody_agrees),
    "whose": Defence("a conversation goes on for whoever asked in it (`Tooling.agreed`)", _goes_on_for_anybody),
    "once": Defence("what waits already is not put again (`Approvals.ask`)", _asked_again),
    "questions": Defence("so many questions of one turn (`MAX_ASKED`)", _limit("core.agent.loop.MAX_ASKED")),
    "waiting": Defence("so many questions that wait for one person (`MAX_WAITING`)", _limit("bot.tooling.MAX_WAITING")),
    "shown": Defence("what cannot be shown whole is not asked (`MAX_SHOWN`)", _limit("bot.tooling.MAX_SHOWN")),
    "blank": Defence("nor what is mostly empty (`MAX_BLANK`)", _limit("bot.tooling.MAX_BLANK")),
    "spelt": Defence("signs that nobody sees are spelled out in a question (`spelt`)", _unspelt),
    "whole": Defence("the words of a call that asks leave nothing out (`Declared.words`)", _short_words),
    "seen": Defence("what its words do not hold is not asked (`_all_seen`)", _unseen),
    "rounds": Defence("so many rounds of calls in a turn (`MAX_ROUNDS`)", _any_rounds),
    "calls": Defence("so many calls of a round (`MAX_CALLS`)", _limit("core.agent.loop.MAX_CALLS")),
    "answer": Defence(
        "an answer has an end (`Bounds.characters`)",
        lambda patch: patch.setattr("core.agent.model.Bounds.__new__.__defaults__", (8192, 600, 10**9)),
    ),
    "repeats": Defence(
        "a model that says the same for ever is stopped (`Repetition`)",
        lambda patch: patch.setattr("core.agent.loop.Repetition.hears", lambda *_: False),
    ),
    "depth": Defence("what is nested too deep is no call (`MAX_DEPTH`)", _nested),
    "cut": Defence("a result takes a quarter of the window at most (`cut`)", _shown_markup),
    "plain": Defence("chat-template tokens and signs that nobody sees are taken out (`plain`)", _raw),
    "fence": Defence("a text cannot hold the end of its own mark (`fenced`)", _unfenced),
    "readable": Defence("control characters are taken out (`readable`)", _unreadable),
    "strict": Defence("a text is a call only if it is nothing else (`calls_in`)", _calls_anywhere),
    "owner": Defence("a memory is its person's, or its group's (`Notebook`)", _one_memory),
    "conversation": Defence("a conversation is given to itself alone (`recent`)", _one_conversation),
    "new": Defence("/new leaves everything behind (`renew`)", _never_new),
    "private": Defence("what is private is not read in a group (`authorize`)", _seen_by_all),
    "addresses": Defence("nothing private is fetched (`adapters/fetch`)", _all_addresses),
}
