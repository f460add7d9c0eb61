"""What the hub and a child say to each other: a JSON request on standard input, a JSON answer on standard output."""

from __future__ import annotations

import json
from inspect import getmembers, isclass
from typing import Any, NamedTuple

from adapters.skills import errors
from adapters.skills.limits import Limits
from core.chat import readable
from core.errors import HubError

ERRORS: dict[str, type[HubError]] = {
    error.__name__: error
    for _, error in getmembers(errors, isclass)
    if issubclass(error, HubError) and error.__module__ == errors.__name__
}
"""The errors that a child may report, by name."""

LOOK = "look"
"""The option that asks for a first look at the file, `look.look`, in the place of the skill's work."""

_LONGEST_FACT = 500


class Request(NamedTuple):
    """A task for a child: paths as text, and the limits it binds itself to."""

    skill: str
    subject: str
    options: dict[str, str]
    workspace: str
    closed: list[str]
    out: str
    parent: int
    limits: Limits

    def to_json(self) -> bytes:
        """As the child reads it."""
        return json.dumps({**self._asdict(), "limits": self.limits._asdict()}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Request:
        """As the hub wrote it."""
        fields: dict[str, Any] = json.loads(data)
        return cls(**{**fields, "limits": Limits(**fields["limits"])})


class Answer(NamedTuple):
    """A child's answer: a text and names of files in the out folder, or the name and facts of an error."""

    text: str = ""
    files: tuple[str, ...] = ()
    error: str = ""
    facts: dict[str, str] | None = None

    @classmethod
    def of_error(cls, error: HubError) -> Answer:
        """An error as the hub can build it again."""
        return cls(error=type(error).__name__, facts={name: str(fact) for name, fact in error.facts.items()})

    def to_json(self) -> bytes:
        """As the hub reads it."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Answer:
        """Read an answer, believing nothing: raises ValueError unless it has exactly the shape of one.

        No control character of a file gets past here.
        """
        match json.loads(data):
            case {"text": str(text), "files": [*files], "error": ""} if all(isinstance(name, str) for name in files):
                return cls(readable(text), tuple(files))
            case {"error": str(error), "facts": dict(facts)} if error in ERRORS:
                return cls(error=error, facts={str(name): _shown(str(fact)) for name, fact in facts.items()})
            case _:
                raise ValueError("no answer")

    def error_or_none(self) -> HubError | None:
        """The error it reports, built from our own sentence. Raises ValueError if facts of the sentence are missing."""
        if not self.error:
            return None
        try:
            return ERRORS[self.error](**(self.facts or {}))
        except (KeyError, TypeError) as error:
            raise ValueError("facts are missing") from error


def _shown(fact: str) -> str:
    return readable(" ".join(fact.split())[:_LONGEST_FACT])
