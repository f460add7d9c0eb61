"""The program that hands one notification to Apprise: `python -m adapters.apprise.child`, started by `surface` only.

It reads a line of JSON, `{"url", "title", "body"}`, from standard input, and answers with one on what was standard output:
`"sent"`, and where it was not `"why"`, `"doubtful"` (it may have arrived) and `"known"` (whether Apprise knows what such a URL
means). Nothing of the URL is in that. Before it sends it says so, in a line before this one. With no body it only looks at the URL.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

from adapters.aside import leave_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 4000
"""Characters of a notification at most; what is longer is read in the chat."""

LONGEST_LIFE = 120
"""Seconds, after which it ends in any case."""

NICE = 10

BEGINS = b"sending\n"
"""What it says before it sends."""

_STATUS = re.compile(r"error=([0-9]{3})\b")
_NEVER_LEFT = ("NewConnectionError", "ConnectTimeout", "NameResolutionError", "SSLCertVerificationError")
"""What urllib3 calls it where no connection came about, so that nothing was sent."""

UNKNOWN = "Apprise does not know what its URL means"


class _Heard(logging.Handler):
    """What Apprise logs: where the reason of a failure is, beside secrets."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def main() -> None:
    """Answer one request. What the hub does itself goes before; whose hub was killed meanwhile waits for nothing for ever."""
    os.nice(NICE)
    leave_terminal()
    signal.alarm(LONGEST_LIFE)
    asked = json.loads(sys.stdin.buffer.readline())
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints is no answer
    answers.write(json.dumps(answer(**asked, begins=lambda: answers.write(BEGINS))).encode() + b"\n")


def answer(url: str, title: str, body: str, begins: Callable[[], object]) -> dict[str, Any]:
    """Send it, and say what came of it; what was not begun before did not arrive."""
    import apprise  # noqa: PLC0415 - where one is sent

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    asset = apprise.AppriseAsset(storage_mode="memory", allow_templates=False)
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        return {"sent": False, "why": UNKNOWN, "doubtful": False, "known": False}
    if not body:
        return {"sent": False, "why": "", "doubtful": False, "known": True}
    longest = min(service.body_maxlen, LONGEST)
    if not service.title_maxlen:  # the title is put before the body then
        longest -= len(title) + 2
    text = body if len(body) <= longest else f"{body[: longest - 1]}…"
    begins()
    if service.notify(body=text, title=title, body_format=apprise.NotifyFormat.TEXT):
        return {"sent": True}
    return {"sent": False, "known": True, **failure(heard.said)}


def failure(said: list[str]) -> dict[str, Any]:
    """Why it was not taken, from what Apprise logged; of that no word is passed on but a status of HTTP."""
    status = next((found[1] for line in said if (found := _STATUS.search(line))), None)
    if status is not None:
        return {"why": f"it answered {status}", "doubtful": False}
    if any(word in line for line in said for word in _NEVER_LEFT):
        return {"why": "it cannot be reached", "doubtful": False}
    return {"why": "it broke off, or did not take it", "doubtful": True}


if __name__ == "__main__":
    main()
