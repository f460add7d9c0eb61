"""`make eval MODEL=...`: the task set against a model, through a whole hub, and a table of what came of it (docs/eval.md).

Exit code 0: every task passed (with --bad: none did); 1: not so, or the model cannot be asked; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from adapters.clockwork import SystemClock
from bot.parts.models import brains
from config import settings as configuration
from core.errors import HubError
from tests.eval.running import run, script
from tests.eval.tasks import load
from tests.ollama_server import OllamaServer
from tests.scenario import bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from config.settings import Settings
    from tests.eval.running import Ran
    from tests.eval.tasks import Case

SCRIPTED = "scripted"
SECONDS = 300
MECHANICS = (
    "This is the scripted model: it plays the {which} reference answers of the set. It shows mechanics only, and says nothing "
    "about any model."
)
HEAD = ("who", "tasks", "passed", "failed", "declined", "median s", "characters", "calls", "repaired", "broken")


def main() -> None:
    """Read the command line, run, report."""
    given = _arguments().parse_args()
    cases = _chosen(load(), given.only)
    if not cases:
        print(f"eval: there is no task {', '.join(given.only)}; they are {', '.join(_names())}", file=sys.stderr)
        sys.exit(2)
    if given.bad and given.model != SCRIPTED:
        print("eval: --bad plays reference answers, which only the scripted model does", file=sys.stderr)
        sys.exit(2)
    try:
        ran = asyncio.run(_run(cases, given))
    except HubError as error:
        print(f"eval: {error}", file=sys.stderr)
        sys.exit(1)
    passed = sum(not one.wrong for one in ran)
    _report(ran, given)
    sys.exit(0 if passed == (0 if given.bad else len(ran)) else 1)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make eval", description="Run the task set against a model.")
    parser.add_argument("--model", required=True, help=f"a model of your server, or {SCRIPTED}")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these sets or tasks: forge, forge/sql")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="the time for each task (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one object a task, and no table")
    parser.add_argument("--bad", action="store_true", help="the scripted model plays the bad answers: none may pass")
    return parser


def _names() -> list[str]:
    return list(dict.fromkeys(case.group for case in load()))


def _chosen(cases: Sequence[Case], only: Sequence[str]) -> list[Case]:
    return [case for case in cases if not only or case.group in only or case.id in only]


async def _run(cases: Sequence[Case], given: argparse.Namespace) -> list[Ran]:
    ran: list[Ran] = []
    async with _model(given) as (settings, server):
        for case in cases:
            if server is not None:
                script(server, case, case.bad if given.bad else case.good)
            with tempfile.TemporaryDirectory(prefix="timmy-eval-") as folder:
                ran.append(await run(case, settings, Path(folder), given.seconds))
            _told(ran[-1], given)
    return ran


@asynccontextmanager
async def _model(given: argparse.Namespace) -> AsyncIterator[tuple[Settings, OllamaServer | None]]:
    """The settings of the model that is asked, and its server where it is scripted. Raises why it cannot be asked."""
    if given.model == SCRIPTED:
        told = sys.stderr if given.json else sys.stdout
        print(MECHANICS.format(which="bad" if given.bad else "good"), file=told, flush=True)
        async with OllamaServer.running(SCRIPTED) as server:
            yield bot.settings(Path(), ollama=server.url), server
        return
    found = configuration.load()
    group = "openai" if found.openai.url and not found.ollama.given else "ollama"
    settings = configuration.load(**{group: {"model": given.model}})
    async with brains(settings, SystemClock()) as brain:
        if (why := await brain.model.check()) is not None:
            raise _CannotBeAsked(why)
        await brain.model.card(None)
    yield settings, None


class _CannotBeAsked(HubError):
    def __init__(self, why: str) -> None:
        super().__init__()
        self.args = (why,)


def _told(one: Ran, given: argparse.Namespace) -> None:
    if given.json:
        print(json.dumps(_facts(one)), flush=True)
    elif one.wrong and not given.bad:
        why = "; ".join(one.wrong)
        print(f"{one.case.id}: {one.verdict}: {' '.join(why.split())[:300]}", flush=True)


def _facts(one: Ran) -> dict[str, Any]:
    return {
        "task": one.case.id, "of": one.case.of, "verdict": one.verdict, "wrong": one.wrong, "seconds": round(one.seconds, 2),
        "characters": len(one.outcome.text), "calls": _made(one), "repaired": one.repaired, "broken": one.calls["broken"],
        "text": one.outcome.text,
    }  # fmt: skip


def _made(one: Ran) -> int:
    return one.calls["read"] + one.calls["repaired"]


def _report(ran: Sequence[Ran], given: argparse.Namespace) -> None:
    if given.json:
        return
    groups = list(dict.fromkeys(one.case.group for one in ran))
    rows = [_row(group, [one for one in ran if one.case.group == group]) for group in groups]
    table = [HEAD, *rows, _row("all", ran)]
    widths = [max(len(row[n]) for row in table) for n in range(len(HEAD))]
    print(f"\nModel: {given.model}")
    for row in table:
        print(
            "  ".join(
                cell.ljust(width) if not n else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )


def _row(name: str, ran: Sequence[Ran]) -> tuple[str, ...]:
    verdicts = [one.verdict for one in ran]
    numbers = (len(ran), *(verdicts.count(one) for one in ("passed", "failed", "declined")))
    characters = round(median(len(one.outcome.text) for one in ran))
    counts = (
        characters,
        sum(map(_made, ran)),
        sum(one.repaired for one in ran),
        sum(one.calls["broken"] for one in ran),
    )
    return (name, *map(str, numbers), f"{median(one.seconds for one in ran):.1f}", *map(str, counts))


if __name__ == "__main__":
    main()
