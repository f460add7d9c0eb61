"""Logging: one handler, one filter that keeps secrets out, plain lines or JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
import time

_SECRET = re.compile(r"timmy_(?:owner|read|worker|shortcut)_[A-Za-z0-9_-]{20,}|(?<=[?&]code=)[A-Za-z0-9_-]{16,}")


class NoSecrets(logging.Filter):
    """Masks the hub's own credentials in every record, whatever module wrote it, tracebacks included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask and let pass."""
        record.msg, record.args = mask(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
        return True


def mask(text: str) -> str:
    """The text with every credential replaced."""
    return _SECRET.sub("[secret]", text)


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
        return json.dumps(line)


def set_up(level: str, *, as_json: bool) -> None:
    """Send the root logger to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    handler.addFilter(NoSecrets())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "aiosqlite", "asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel("WARNING")
