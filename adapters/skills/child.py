"""The program a skill runs in: `python -m adapters.skills.child`, started by `runner.SkillRunner` only.

It binds itself to its limits first, then loads the one skill it was asked for. Standard output carries the answer
alone: whatever a library prints goes to standard error, and from there to the hub's log at debug level.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.skills.catalogue import KNOWN
from adapters.skills.errors import SkillMemory, SkillOutput
from adapters.skills.job import Job
from adapters.skills.limits import confine
from adapters.skills.wire import LOOK, Answer, Request
from adapters.skills.workspace import Workspace
from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.agent.skill import Outcome


def main() -> int:
    """Read a request, do it, answer. Exit status 0 says that an answer was given, an error included."""
    request = Request.from_json(sys.stdin.buffer.read())
    is_cut_off = confine(request.limits, request.parent)
    answers = os.dup(1)
    os.dup2(2, 1)
    answer = perform(request, is_cut_off=is_cut_off)
    with os.fdopen(answers, "wb") as output:
        output.write(answer.to_json())
    return 0


def perform(request: Request, *, is_cut_off: bool = True) -> Answer:
    """Run the skill. What it raises beyond named errors goes up, as a traceback on standard error."""
    skill = KNOWN[request.skill]
    try:
        name = LOOK if LOOK in request.options else skill.name
        run: Callable[[Job], Outcome] = getattr(import_module(f"adapters.skills.{name}"), name)
        outcome = run(_job(request, is_cut_off=is_cut_off))
    except HubError as error:
        return Answer.of_error(error)
    except MemoryError:
        return Answer.of_error(SkillMemory(skill=skill.name, megabytes=request.limits.memory_bytes // 10**6))
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        return Answer.of_error(SkillOutput(skill=skill.name, megabytes=request.limits.file_bytes // 10**6))
    return Answer(outcome.text, tuple(file.name for file in outcome.files))


def _job(request: Request, *, is_cut_off: bool) -> Job:
    workspace = Workspace(Path(request.workspace), map(Path, request.closed))
    return Job(workspace, request.subject, Path(request.out), Path.cwd(), request.options, is_cut_off)


if __name__ == "__main__":
    sys.exit(main())
