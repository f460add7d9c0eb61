"""What a Shortcut gets back: words to speak, the whole text, and whether that is all yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapters import markup
from core.ids import task_name

if TYPE_CHECKING:
    from core.chat import Reply
    from core.messages import Job

IN_CHAT = "I sent the answer to your chat."
NOT_YET = "I am still at it. The answer comes to your chat, if you do not wait for it here."
_HEARD = "\n(You may have heard this already.)"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer (CONTRACT, "HTTP sidecar"). Where it is not `done`, `job` names what is to be fetched."""

    speech: str
    text: str
    done: bool = True
    task_id: str | None = None
    job: str | None = None


def answered(reply: Reply, job: Job) -> Said:
    """A reply, spoken and whole; after a recording, with what was heard in it."""
    rich = markup.of(_headed(reply, f'Heard: "{job.words}"\n') if job.heard else reply)
    task = reply.data.get("task")
    named = task if isinstance(task, str) else None if reply.task is None else task_name(reply.task)
    return Said(markup.speech(rich), rich.text, task_id=named)


def in_chat() -> Said:
    """The answer was sent home, and is not told again."""
    return Said(IN_CHAT, IN_CHAT)


def not_yet(job: Job) -> Said:
    """There is none yet."""
    return Said(NOT_YET, NOT_YET, done=False, job=job.name)


def at_home(reply: Reply, job: Job, *, heard: bool) -> Reply:
    """An answer for the chat of whoever asked, with what they had asked. `heard`: they may know it already."""
    headed = _headed(reply, f"You asked by Siri: {job.words}\n")
    return replace(headed, text=headed.text + (_HEARD if heard else ""), choice=None)


def _headed(reply: Reply, head: str) -> Reply:
    """A reply under a line of its own."""
    rich = markup.of(reply)
    marks = tuple(mark._replace(start=mark.start + len(head), end=mark.end + len(head)) for mark in rich.marks)
    return replace(reply, text=head + rich.text, marks=marks, markdown=False)
