"""What the hub remembers of whoever asks: looked up, and kept once that person has agreed to the very words."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.memory import GIVEN, MAX_FACT, How, fact_name, kept
from core.agent.tool import Effect, Output, Use
from core.errors import UserError


def _keepable(text: str) -> str:
    try:
        return kept(text)
    except UserError as error:
        raise ValueError(str(error)) from None


class InPrivateOnly(UserError):
    """In a group nothing is remembered but what a person writes: /remember TEXT"""

    status = 403


async def _look(here: Here, use: Use, *, text: str) -> None:
    _in_private(use)
    await here.notebook().look(use.caller, use.conversation, text)


def _in_private(use: Use) -> None:
    """Whoever agrees in a group was not told that everybody there would read it."""
    if not use.caller.private:
        raise InPrivateOnly


@tool(lambda a: f"remember: {a['text']}", effect=Effect.ASK, privately=True, look=_look)
async def remember(
    here: Here,
    use: Use,
    *,
    text: Annotated[
        str, Field(max_length=MAX_FACT), AfterValidator(_keepable),
        Field(description="one fact in one short sentence that is understood by itself, in the person's language"),
    ],
) -> Output:  # fmt: skip
    """Remember a fact about the person who speaks for later conversations. Only what they themselves told you and want kept."""
    _in_private(use)
    made = await here.notebook().remember(use.caller, use.conversation, text, f"{use.key}/kept", how=How.AGREED)
    return Output(f"{'Known already' if made.known else 'Remembered'} as {made.fact.name}.", outside=False)


@tool(lambda a: f"look up what is remembered about {said(a['words'])}" if a["words"] else "look up what is remembered")
async def recall(
    here: Here,
    use: Use,
    *,
    words: Annotated[str, Field(max_length=MAX_FACT, description="what about; empty gives the newest")] = "",
) -> Output:
    """Look up what the person who speaks had you remember, or in a group what the group had. The best is given to you anyway."""
    notebook = here.notebook()
    if words.strip():
        found = await notebook.search(use.caller, use.conversation, words, limit=GIVEN)
    else:
        found = await notebook.listed(use.caller, use.conversation, limit=GIVEN)
    lines = [f"{fact_name(fact.id)}: {fact.text}" for fact in found.facts]
    return Output("\n".join(lines) or "Nothing is remembered about that.", outside=found.outside)
