"""Logging: one handler, one filter that keeps secrets out, plain lines or JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from urllib.parse import quote

_SECRET = re.compile(
    r"timmy_(?:owner|read|worker|shortcut|mcp)_[A-Za-z0-9_-]{20,}|(?<=[?&]code=)[A-Za-z0-9_-]{16,}"
    r"|(?<![0-9])[0-9]{6,}(?::|%3A)[A-Za-z0-9_-]{30,}"  # a Telegram bot's token
    r"|(?<=L402 |LSAT )[A-Za-z0-9+/=_.,~-]+:[0-9A-Fa-f]{64}"  # what was paid for
)
_MASK = "[secret]"
_SHORTEST = 8
"""What is shorter than this is found in ordinary words too."""

_hidden: set[str] = set()


class NoSecrets(logging.Filter):
    """Masks credentials in every record, whatever module wrote it, tracebacks included. It never raises."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask and let pass."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - whoever logs must not fail for it, whatever its arguments do
            message = f"{record.msg!s:.2000} (its arguments do not fit)"
        record.msg, record.args = mask(message), None
        try:
            if record.exc_info and not record.exc_text:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
        except Exception:  # noqa: BLE001 - as above
            record.exc_text = "(a traceback that cannot be shown)"
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        return True


def hide(secret: str) -> None:
    """Mask this value wherever it is logged from now on, also as it looks in a URL."""
    if len(secret) >= _SHORTEST:
        _hidden.update({secret, quote(secret, safe="")})


def mask(text: str) -> str:
    """The text with every credential replaced."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return _SECRET.sub(_MASK, text)


class JsonLines(logging.Formatter):
    """One JSON object a record; times in UTC."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Format."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"), "level": record.levelname, "logger": record.name,
            "message": record.getMessage(),
        }  # fmt: skip
        if record.exc_text:
            line["error"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line)


def set_up(level: str, *, as_json: bool) -> None:
    """Send the root logger to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    handler.addFilter(NoSecrets())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "httpx2", "httpcore2", "mcp", "aiosqlite", "asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel("WARNING")
