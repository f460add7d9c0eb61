"""No credential reaches a log, whoever writes it."""

from __future__ import annotations

import io
import json
import logging

import pytest

from config import log
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


@pytest.mark.parametrize("scheme", ["L402", "LSAT"])
def test_what_was_paid_for_is_masked(scheme: str) -> None:
    said = log.mask(f"{{'Authorization': '{scheme} AgEEbHNhdA+/_-==,AgEE:{'aB' * 32}'}} was refused")
    assert said == f"{{'Authorization': '{scheme} [secret]'}} was refused"


def test_json_lines_are_json_and_masked() -> None:
    stream = io.StringIO()
    _logger(stream, JsonLines()).warning("a %s", TOKEN)
    line = json.loads(stream.getvalue())
    assert line["message"] == "a [secret]"
    assert line["level"] == "WARNING"


class _Odd:
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(("words", "argument"), [("%d things", "x"), ("a thing", "more"), ("%s", _Odd())])
def test_whoever_logs_nonsense_does_not_fail_for_it(words: str, argument: object) -> None:
    stream = io.StringIO()
    _logger(stream, logging.Formatter("%(message)s")).warning(words, argument)
    assert words in stream.getvalue()


def test_stacks_and_tracebacks_that_others_formatted_are_masked() -> None:
    for formatter in (logging.Formatter("%(message)s"), JsonLines()):
        stream = io.StringIO()
        record = logging.makeLogRecord(
            {"levelno": logging.ERROR, "msg": "oh", "exc_text": f"Error: {TOKEN}", "stack_info": f"Stack of {TOKEN}"}
        )
        _logger(stream, formatter).handle(record)
        assert "Error: [secret]" in stream.getvalue()
        assert "Stack of [secret]" in stream.getvalue()


def test_a_secret_named_while_the_hub_runs_is_masked_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_hidden", set())
    log.hide("my secret: 42")
    log.hide("a")
    assert log.mask("say my secret: 42 at /my%20secret%3A%2042/x") == "say [secret] at /[secret]/x"


def test_the_shape_of_a_telegram_token_is_masked() -> None:
    bot = "123456789:" + "AAbb-_" * 6
    assert log.mask(f"GET https://api.telegram.org/bot{bot}/getMe") == "GET https://api.telegram.org/bot[secret]/getMe"
    assert log.mask("at 12:30:45 took 1234567:8") == "at 12:30:45 took 1234567:8"
