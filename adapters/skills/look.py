"""A first look at a document in a child, before anybody bids: can it be opened, and is there any text in it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.skills.documents import first_text
from core.agent.skill import Outcome

if TYPE_CHECKING:
    from adapters.skills.job import Job


def look(job: Job) -> Outcome:
    """Nothing, if the document `job.subject` can be worked on; raises what is wrong with it."""
    first_text(job.workspace, job.workspace.find(job.subject))
    return Outcome("")
