"""`core.agent.model.Model`: what every model server behind the port does, well or badly, over real HTTP."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from contextlib import AsyncExitStack, aclosing, closing
from socket import socket
from typing import TYPE_CHECKING, Any

import httpx
import ollama
import pytest

from adapters.clockwork import Nursery, SystemClock
from adapters.llm import wire
from adapters.llm.ollama import BadModelAddress, OllamaModel, Patience
from adapters.llm.wire import LIBRARY_ERRORS, Wire
from core.agent.model import (
    ChatMessage,
    ModelBrokeOff,
    ModelCut,
    ModelFailed,
    ModelGarbled,
    ModelMissing,
    ModelSilent,
    ModelUnreachable,
    NoModelInstalled,
    named,
)
from tests.fakes import FakeClock
from tests.ollama_server import Fault, OllamaServer, Thinks
from tests.ollama_server import Wire as Fate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.agent.model import Model
    from core.errors import HubError

ASKED = [ChatMessage("system", "You are kind."), ChatMessage("user", "Hello?")]
SHORT = Patience(listing=0.2, first=0.2, next=0.2, check=0.2)


class HandClock(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0

    def now(self) -> int:
        return self.time


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("llama3.2:latest", "qwen3:8b") as server:
        yield server


@pytest.fixture
async def model(server: OllamaServer) -> AsyncIterator[OllamaModel]:
    async with OllamaModel(server.url, clock=HandClock(), patience=SHORT) as model:
        yield model


@pytest.fixture
def nowhere() -> str:
    """A URL where nothing listens."""
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def heard(model: Model, name: str | None = None) -> list[str]:
    async with aclosing(model.chat(ASKED, model=name, num_ctx=2048)) as pieces:
        return [str(piece) async for piece in pieces]


async def test_an_answer_comes_in_pieces(model: OllamaModel, server: OllamaServer) -> None:
    server.says("Hel", "lo", " Ann")
    assert await heard(model) == ["Hel", "lo", " Ann"]
    assert server.last["messages"] == [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "Hello?"},
    ]


async def test_every_request_says_how_large_the_window_is(model: OllamaModel, server: OllamaServer) -> None:
    await heard(model)
    await heard(model, "qwen3:8b")
    assert [request["options"] for request in server.asked] == [{"num_ctx": 2048, "num_predict": 2048}] * 2
    assert all(request["stream"] for request in server.asked)


async def test_a_piece_arrives_while_the_rest_is_still_thought_about(model: OllamaModel, server: OllamaServer) -> None:
    gate = asyncio.Event()
    server.says("One", gate, " two")
    async with aclosing(model.chat(ASKED, model=None, num_ctx=2048)) as pieces:
        assert await anext(pieces) == "One"
        gate.set()
        assert [piece async for piece in pieces] == [" two"]


async def test_thoughts_are_not_the_answer(model: OllamaModel, server: OllamaServer) -> None:
    server.says(Thinks("They greet me."), Thinks(" So I greet."), "Hello.")
    assert await heard(model) == ["Hello."]


async def test_closing_the_stream_hangs_up(model: OllamaModel, server: OllamaServer) -> None:
    server.says("One", Fate.SILENCE)
    async with aclosing(model.chat(ASKED, model=None, num_ctx=2048)) as pieces:
        assert await anext(pieces) == "One"
    await server.hung_up.wait()


@pytest.mark.long
async def test_a_hundred_that_wait_hold_up_no_other(server: OllamaServer) -> None:
    gate = asyncio.Event()
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(OllamaModel(server.url, clock=HandClock()))
        held = []
        for _ in range(100):  # the size of httpx's own pool
            server.says("Well", gate, ".")
            pieces = await stack.enter_async_context(aclosing(model.chat(ASKED, model="qwen3:8b", num_ctx=2048)))
            assert await anext(pieces) == "Well"
            held.append(pieces)
        assert await heard(model) == ["You said:", " Hello?"]
        gate.set()
        assert [await anext(pieces) for pieces in held] == ["."] * 100


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        ([Fault(404, "model 'llama3.2' not found")], ModelMissing, "ollama pull llama3.2:latest"),
        ([Fault(500, "model requires more system memory (9 GiB)")], ModelFailed, "more system memory"),
        ([Fault(500, b"\xff\xfe oops")], ModelFailed, "oops"),
        ([Fault(500, b"[1]")], ModelGarbled, "TIMMY_OLLAMA_URL"),
        ([Fault(502, b"")], ModelFailed, "status 502"),
        ([Fault(404, b"404 page not found")], ModelGarbled, "404 page not found"),
        ([Fault(301, b"")], ModelFailed, "status 301"),
        ([Fate.BREAK], ModelFailed, "closed the connection"),
        (["Hel", Fate.BREAK], ModelBrokeOff, "broke off"),
        (["Hel", Fate.UNFINISHED], ModelBrokeOff, "broke off"),
        (["Hel", Fault(500, "an error was encountered")], ModelFailed, "an error was encountered"),
        (["Hel", Fate.CUT], ModelCut, "/new|TIMMY_OLLAMA_NUM_CTX"),
        ([b"<html>hello</html>\n"], ModelGarbled, "Ollama's protocol"),
        ([b"[]\n"], ModelGarbled, "Ollama's protocol"),
        ([b"null\n"], ModelGarbled, "Ollama's protocol"),
        ([b'{"message": 7}\n'], ModelGarbled, "Ollama's protocol"),
        ([b'{"done": true}\n'], ModelGarbled, "Ollama's protocol"),
        ([b'{"message": {"role": "assistant"\n'], ModelGarbled, "Ollama's protocol"),
        (
            [b'{"message": {"role": "assistant", "content": "%s"}}\n' % (b"x" * 2**20)],
            ModelGarbled,
            "a line of more than 1 MB",
        ),
        ([*[b"x" * 2**18] * 5, Fate.SILENCE], ModelGarbled, "a line of more than 1 MB"),
        ([Fate.SILENCE], ModelSilent, "said nothing for"),
        (["Hel", Fate.SILENCE], ModelSilent, "said nothing for"),
    ],
)
async def test_whatever_goes_wrong_is_named(
    model: OllamaModel, server: OllamaServer, script: list[Any], error: type[HubError], says: str
) -> None:
    server.says(*script)
    with pytest.raises(error, match=says) as raised:
        await heard(model, "llama3.2:latest")
    assert "\n" not in str(raised.value)
    assert await heard(model) == ["You said:", " Hello?"]


def test_every_error_of_the_libraries_is_ours() -> None:
    a_wire = Wire("http://127.0.0.1:1", connect=1)
    errors = [
        kind
        for library in (httpx, ollama)
        for _, kind in inspect.getmembers(library, inspect.isclass)
        if issubclass(kind, Exception)
    ]
    assert len(errors) > 20
    ours = (*LIBRARY_ERRORS, httpx.CookieConflict, ollama.RequestError)  # of cookies, and of arguments left out
    assert [kind for kind in errors if not issubclass(kind, ours)] == []
    made = [kind.__new__(kind) for kind in errors if kind is not ollama.ResponseError]
    named_as = {type(a_wire._translate(error, "m")) for error in made}
    assert named_as == {ModelUnreachable, ModelSilent, ModelFailed, ModelGarbled}


async def test_with_nothing_there_it_says_so_at_once(nowhere: str) -> None:
    async with OllamaModel(nowhere, clock=HandClock()) as model:
        for ask in (heard(model), model.models(), model.default()):
            with pytest.raises(ModelUnreachable):
                await ask
        assert await model.check() == str(ModelUnreachable(url=nowhere))


async def test_a_server_that_goes_away_is_missed(server: OllamaServer, model: OllamaModel) -> None:
    await heard(model)
    await server.stop()
    for ask in (heard(model), heard(model, "qwen3:8b"), model.models()):
        with pytest.raises(ModelUnreachable):
            await ask


def test_with_nothing_there_the_library_is_never_loaded(nowhere: str) -> None:
    program = f"""
import asyncio, sys
from adapters.clockwork import SystemClock
from adapters.llm.ollama import OllamaModel
async def main():
    print(await OllamaModel({nowhere!r}, clock=SystemClock()).check())
asyncio.run(main())
assert not {{"ollama", "httpx"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"No model answers at {nowhere}.")


async def test_models_are_listed_by_name(model: OllamaModel) -> None:
    assert await model.models() == ["llama3.2:latest", "qwen3:8b"]


async def test_the_hubs_own_model_is_the_configured_one_else_the_first(server: OllamaServer) -> None:
    async with OllamaModel(server.url, clock=HandClock()) as model:
        assert await model.default() == "llama3.2:latest"
    async with OllamaModel(server.url, "qwen3:8b", clock=HandClock()) as model:
        assert await model.default() == "qwen3:8b"
        assert await model.check() is None
        await heard(model)
    assert server.last["model"] == "qwen3:8b"


async def test_models_that_only_embed_or_run_elsewhere_are_never_taken(server: OllamaServer) -> None:
    server.models = ["nomic-embed-text:latest", "gpt-oss:120b-cloud", "glm:cloud", "qwen3:8b"]
    server.families["nomic-embed-text:latest"] = "nomic-bert"
    async with OllamaModel(server.url, clock=HandClock()) as model:
        assert await model.models() == ["qwen3:8b"]
    async with OllamaModel(server.url, "gpt-oss:120b-cloud", clock=HandClock()) as model:
        assert await model.check() is None


async def test_a_server_without_a_model_says_how_to_get_one(server: OllamaServer, model: OllamaModel) -> None:
    server.models = []
    with pytest.raises(NoModelInstalled, match="ollama pull"):
        await heard(model)
    assert await model.check() == str(NoModelInstalled(url=server.url))


async def test_a_configured_model_that_is_missing_is_named(server: OllamaServer) -> None:
    async with OllamaModel(server.url, "phi4", clock=HandClock()) as model:
        assert await model.check() == str(ModelMissing(model="phi4"))
        with pytest.raises(ModelMissing):
            await heard(model)


@pytest.mark.parametrize("listing", [Fault(500, "oops"), Fault(200, b"{}"), Fault(200, b"[]"), Fault(200, b"x")])
async def test_a_list_that_is_none_is_no_model(model: OllamaModel, server: OllamaServer, listing: Fault) -> None:
    server.listing = listing
    assert await model.check() is not None


async def test_an_answer_that_is_read_whole_is_bounded(
    model: OllamaModel, server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "LARGEST_BODY", 2**16)
    server.listing = Fault(200, b'{"models": []' + b" \n" * 2**15 + b"}")
    with pytest.raises(ModelGarbled, match="an answer of more than"):
        await model.models()
    server.says(Fault(500, b"x" * 2**17))
    with pytest.raises(ModelGarbled, match="an answer of more than"):
        await heard(model, "llama3.2:latest")


async def test_an_answer_that_would_unpack_into_more_is_not_unpacked(model: OllamaModel, server: OllamaServer) -> None:
    server.packs = True
    with pytest.raises(ModelGarbled, match="compressed"):
        await model.models()


async def test_a_check_is_believed_for_some_seconds(server: OllamaServer) -> None:
    clock = HandClock()
    async with OllamaModel(server.url, clock=clock) as model:
        assert await asyncio.gather(*(model.check() for _ in range(9))) == [None] * 9
        clock.time += 4_999
        await model.check()
        assert server.listed == 1
        server.models = []
        clock.time += 1
        assert await model.check() is not None


async def test_a_server_that_takes_calls_and_never_answers_is_given_up() -> None:
    with closing(socket()) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # the kernel takes the calls, nobody picks up
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        clock = HandClock()
        async with OllamaModel(url, clock=clock, patience=SHORT) as model:
            assert await model.check() is None, "a server that works may be slow to answer"
            clock.time += 14_000
            assert await model.check() is None
            clock.time += 5_000
            assert await model.check() == str(ModelSilent(seconds=19))
            with pytest.raises(ModelSilent):
                await model.models()


async def test_while_a_watch_looks_the_last_verdict_counts(server: OllamaServer) -> None:
    clock = FakeClock()
    patience = Patience(check=60)
    async with OllamaModel(server.url, clock=clock, patience=patience) as model, Nursery() as nursery:
        nursery.spawn(model.watch(), "watch")
        await asyncio.wait_for(clock.slept.wait(), 5)
        server.gate = asyncio.Event()  # from now on the server hangs
        server.seen.clear()
        clock.advance(60_000)
        await asyncio.wait_for(server.seen.wait(), 5)
        assert await asyncio.wait_for(model.check(), 1) is None


async def test_no_key_of_the_cloud_is_sent(
    model: OllamaModel, server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "canary")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    await heard(model)
    assert "canary" not in str(server.headers)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:11434",
        "localhost",
        "",
        "ftp://h:1",
        "file:///etc/passwd",
        "http://",
        "http://h:x",
        "http://h/?q=1",
        "http://[::1:11434",
        "http://ollama..local:11434",
        "http://" + "h" * 64,
    ],
)
def test_only_an_http_address_is_taken(url: str) -> None:
    with pytest.raises(BadModelAddress, match="TIMMY_OLLAMA_URL"):
        OllamaModel(url, clock=HandClock())


def test_an_address_never_shows_a_password() -> None:
    with pytest.raises(BadModelAddress) as error:
        OllamaModel("http://ann:canary@127.0.0.1:1", clock=HandClock())
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("qwen3:8b", "qwen3:8b"), ("qwen3", None), ("llama3.2", "llama3.2:latest"), ("LLAMA3.2", "llama3.2:latest"),
        ("hub:5000/llama3.2", None), ("ns/mixtral", "ns/mixtral:latest"),
    ],
)  # fmt: skip
def test_a_name_means_what_ollama_takes_it_for(name: str, means: str | None) -> None:
    assert named(name, ["llama3.2:latest", "qwen3:8b", "ns/mixtral:latest"]) == means
