"""Getting models, on a scripted Ollama."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemClock
from adapters.llm.ollama import OllamaModel, Patience
from core.agent import pulling
from core.agent.model import BadModelName, Card, ChatMessage, ModelGarbled, ModelUnreachable, ToolSpec
from core.agent.pulling import (
    MOST,
    ComesAlready,
    EnoughPulled,
    LibraryAway,
    NoRoom,
    NoSuchModel,
    NotHere,
    Progress,
    PullFailed,
    Pulls,
    PullStopped,
)
from tests.fakes import turn
from tests.ollama_server import Fault, Wire

if TYPE_CHECKING:
    from core.errors import HubError
    from tests.ollama_server import OllamaServer


def line(status: str, digest: str = "", done: int | None = None, total: int | None = None) -> bytes:
    facts = {"digest": digest, "completed": done, "total": total} if digest else {}
    return (
        json.dumps({"status": status, **{key: one for key, one in facts.items() if one is not None}}).encode() + b"\n"
    )


LARGE = 1_500_000_000
WHOLE = (
    line("pulling manifest"), line("pulling manifest"), line("pulling a", "sha256:a", total=LARGE),
    line("pulling a", "sha256:a", LARGE // 2, LARGE), line("pulling a", "sha256:a", LARGE, LARGE),
    line("pulling b", "sha256:b", 2, 4), line("pulling b", "sha256:b", 4, 4), line("verifying sha256 digest"),
)  # fmt: skip


@pytest.fixture
def pulls(model: OllamaModel) -> Pulls:
    return Pulls(model)


async def test_it_is_told_how_far_a_model_is_until_it_is_there(
    pulls: Pulls, model: OllamaModel, server: OllamaServer
) -> None:
    server.pulls["phi4"] = WHOLE
    told: list[str] = []
    assert await pulls.get(" phi4 ", "here", told.append) == "phi4"
    assert told == [
        "Getting phi4: pulling manifest.",
        "Getting phi4: 0 % of 1.5 GB.",
        "Getting phi4: 50 % of 1.5 GB.",
        "Getting phi4: all 1.5 GB are there; pulling a.",
        "Getting phi4: 99 % of 1.5 GB.",
        "Getting phi4: all 1.5 GB are there; pulling b.",
        "Getting phi4: all 1.5 GB are there; verifying sha256 digest.",
    ]
    assert "phi4:latest" in await model.models()


async def test_what_was_known_of_a_model_that_is_got_anew_is_looked_at_again(
    pulls: Pulls, model: OllamaModel, server: OllamaServer
) -> None:
    server.toolless, server.pulls["llama3.2"] = {"llama3.2:latest"}, WHOLE
    tool = ToolSpec("add", "Adds.", {"type": "object", "properties": {}})
    async with aclosing(model.chat([ChatMessage("user", "hi")], model=None, num_ctx=512, tools=[tool])) as pieces:
        assert [piece async for piece in pieces]
    server.toolless, server.window = set(), 4096
    assert not (await model.card("llama3.2:latest")).tools
    await pulls.get("llama3.2", "here", lambda _: None)
    assert await model.card("llama3.2:latest") == Card(4096, tools=True)


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        (None, NoSuchModel, "no model phi4"),
        ([line("pulling"), Fault(-1, "write /models/blobs: no space left on device")], NoRoom, r"disk.*full.*/pull phi4"),
        ([Fault(-1, 'Get "https://library.example/v2/x": dial tcp: no such host')], LibraryAway, "its library"),
        ([Fault(-1, "max retries exceeded: unexpected EOF")], LibraryAway, "EOF"),
        ([Fault(-1, "something else")], PullFailed, "something else"),
        ([line("pulling"), Wire.BREAK], PullFailed, "broke"),
        ([line("pulling"), Wire.UNFINISHED], PullFailed, "broke off"),
        ([b"[]\n"], ModelGarbled, "protocol"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_is_named(
    pulls: Pulls, server: OllamaServer, script: list[bytes | Fault | Wire] | None, error: type[HubError], says: str
) -> None:
    if script is not None:
        server.pulls["phi4"] = script
    with pytest.raises(error, match=says) as raised:
        await pulls.get("phi4", "here", lambda _: None)
    assert "https://" not in str(raised.value)
    server.pulls["phi4"] = WHOLE
    assert await pulls.get("phi4", "here", lambda _: None) == "phi4", "and it can be asked for again"


async def test_a_silent_one_is_given_up(server: OllamaServer) -> None:
    server.pulls["phi4"] = [line("pulling"), Wire.SILENCE]
    async with OllamaModel(server.url, clock=SystemClock(), patience=Patience(first=0.1)) as model:
        with pytest.raises(PullFailed, match="nothing came for"):
            await Pulls(model).get("phi4", "here", lambda _: None)


async def test_one_at_a_time_each_and_few_in_all(pulls: Pulls, server: OllamaServer) -> None:
    gate, names = asyncio.Event(), [f"m{number}" for number in range(MOST)]
    for name in names:
        server.pulls[name] = [line("pulling a", "sha256:a", 1, 2), gate]
    heard = [asyncio.Event() for _ in names]
    async with asyncio.TaskGroup() as group:
        for name, event in zip(names, heard, strict=True):
            group.create_task(pulls.get(name, "here", lambda _, event=event: event.set()))  # type: ignore[misc]
        await asyncio.wait_for(asyncio.gather(*(event.wait() for event in heard)), 5)
        with pytest.raises(ComesAlready, match="50 %"):
            await pulls.get("M0", "there", lambda _: None)
        with pytest.raises(EnoughPulled):
            await pulls.get("phi4", "there", lambda _: None)
        gate.set()
    assert sorted(server.pulled) == names


async def test_stop_ends_it_and_says_how_far_it_came(pulls: Pulls, server: OllamaServer) -> None:
    server.pulls["phi4"] = [line("pulling a", "sha256:a", 1, 4), Wire.SILENCE]
    told = asyncio.Event()

    async def get() -> None:
        with pytest.raises(PullStopped, match="25 %"):
            await pulls.get("phi4", "here", lambda _: told.set())

    async with asyncio.TaskGroup() as group:
        group.create_task(get())
        await asyncio.wait_for(told.wait(), 5)
        assert not pulls.stop("elsewhere")
        assert pulls.stop("here")
        await turn()
        assert pulls.stop("here"), "again, while it ends"
    await asyncio.wait_for(server.hung_up.wait(), 5)
    assert not pulls.stop("here")


async def test_one_that_takes_for_ever_is_ended(
    pulls: Pulls, server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "HOURS", 0)
    server.pulls["phi4"] = [line("pulling"), Wire.SILENCE]
    with pytest.raises(PullFailed, match="not here after"):
        await pulls.get("phi4", "here", lambda _: None)


async def test_where_there_is_no_ollama_or_no_name_nothing_is_asked(pulls: Pulls, server: OllamaServer) -> None:
    with pytest.raises(NotHere):
        await Pulls(None).get("phi4", "here", lambda _: None)
    with pytest.raises(BadModelName):
        await pulls.get("phi4; rm -rf", "here", lambda _: None)
    await server.stop()
    with pytest.raises(ModelUnreachable):
        await pulls.get("phi4", "here", lambda _: None)


def test_how_far_it_is_never_reads_as_done_before_it_is() -> None:
    assert [Progress("", done, 3).percent for done in range(4)] == [0, 33, 66, 100]
    assert Progress("", 0, 0).percent == 0
