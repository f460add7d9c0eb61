"""The routes of Shortcuts as `/openapi.json` tells of them, and how many may be open."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from adapters.web.openapi import document
from adapters.web.shortcuts import KEY, Desk, Shortcuts, read_key


async def _nobody(*_: object) -> Any:
    raise AssertionError


def test_every_route_is_documented_with_what_it_takes_and_who_may() -> None:
    told = document(Shortcuts(Desk(lambda _: nullcontext(), _nobody, _nobody, str)).routes())["paths"]
    assert {(method, path.removeprefix("/shortcuts/")) for path, methods in told.items() for method in methods} == {
        ("post", "chat"), ("post", "task"), ("post", "audio"), ("get", "status"), ("get", "swarm"), ("get", "result/{job}"),
    }  # fmt: skip
    assert {str(one["security"]) for methods in told.values() for one in methods.values()} == {"[{'token': []}]"}
    chat = told["/shortcuts/chat"]["post"]
    assert chat["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Message"}
    assert [one["name"] for one in chat["parameters"]] == [KEY]
    assert set(chat["responses"]) == {"200", "400", "401", "403", "413", "422", "503", "default"}
    assert list(told["/shortcuts/audio"]["post"]["requestBody"]["content"]) == ["audio/*"]
    assert "requestBody" not in told["/shortcuts/status"]["get"]


@pytest.mark.parametrize(("given", "key"), [(None, None), ("a", "a"), ('"a b"', "a b"), ('"', '"'), ('"x', '"x')])
def test_a_key_is_the_same_with_its_quotes_and_without(given: str | None, key: str | None) -> None:
    assert read_key(given) == key
