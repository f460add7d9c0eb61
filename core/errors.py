"""Every failure the hub can name, as one tree.

The docstring of an error is the sentence its user reads: what happened, and what to do about it. Facts are
filled in by name (`UnknownApproval(name="A-7")`), so a message can never be built without what it talks about.
Each edge (chat, socket, HTTP, exit code) maps the four branches once; see `bot/replies.py`.
"""

from __future__ import annotations

import os
import re
from typing import ClassVar


class HubError(Exception):
    """Something went wrong inside the hub."""

    status: ClassVar[int] = 500
    private: ClassVar[bool] = False
    """Whether its facts are for nobody but whoever caused it."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(_sentence(type(self)).format_map(facts))

    @property
    def code(self) -> str:
        """The error's stable name for programs: `UnknownApproval` -> `unknown_approval`."""
        return _code(type(self))


def _sentence(error: type[HubError]) -> str:
    return " ".join((error.__doc__ or error.__name__).split())


def _code(error: type[HubError]) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", error.__name__).lower()


class UserError(HubError):
    """What you sent cannot be used: {why}"""

    status = 422


class Refused(HubError):
    """You may not do this here."""

    status = 403


class Unavailable(HubError):
    """A part the hub needs does not answer: {why}"""

    status = 503


class Broken(HubError):
    """The hub found its own data damaged: {why}"""

    status = 500


class WentWrong(HubError):
    """Something went wrong inside the hub. The log says more; look whether it was done before you try again."""


def cause(error: BaseException) -> str:
    """Why a connection failed, in the operating system's words; of another error what it says, or else its name.

    No URL: one may hold a secret, such as a bot's token, and what libraries say often ends with it.
    """
    found = getattr(error, "os_error", error)  # of aiohttp's
    said = str(error)
    if isinstance(found, OSError) and found.errno and found.strerror:
        of_library = (
            found.strerror.startswith("Connect call failed") or "://" in found.strerror
        )  # and an address, again
        said = os.strerror(found.errno) if of_library else found.strerror
    return said if said and "://" not in said else type(error).__name__
