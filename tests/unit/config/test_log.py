"""No credential reaches a log, whoever writes it."""

from __future__ import annotations

import io
import json
import logging

from config.log import JsonLines, NoSecrets

TOKEN = "timmy_owner_" + "a1B2" * 10


def _logger(stream: io.StringIO, formatter: logging.Formatter) -> logging.Logger:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(NoSecrets())
    logger = logging.Logger("canary")  # noqa: LOG001 - apart from the root, which pytest listens to
    logger.addHandler(handler)
    return logger


def test_tokens_are_masked_in_messages_arguments_and_tracebacks() -> None:
    stream = io.StringIO()
    logger = _logger(stream, logging.Formatter("%(message)s"))
    logger.warning("token %s in http://127.0.0.1/login?code=%s", TOKEN, "Z" * 24)
    try:
        int(TOKEN)
    except ValueError:
        logger.exception("it broke with %s", TOKEN)
    said = stream.getvalue()
    assert "it broke" in said
    assert "ValueError" in said
    assert TOKEN not in said
    assert "Z" * 24 not in said


def test_json_lines_are_json_and_masked() -> None:
    stream = io.StringIO()
    _logger(stream, JsonLines()).warning("a %s", TOKEN)
    line = json.loads(stream.getvalue())
    assert line["message"] == "a [secret]"
    assert line["level"] == "WARNING"
