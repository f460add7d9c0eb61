"""`core.agent.model.Model`: what every model server behind the port does, well or badly, over real HTTP."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from contextlib import AsyncExitStack, aclosing, closing
from functools import partial
from socket import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import httpx_sse
import ollama
import pytest

from adapters.clockwork import Nursery, SystemClock
from adapters.llm import guarded, openai_wire, wire
from adapters.llm.ollama import OllamaModel
from adapters.llm.openai import NothingServed, OpenAIModel, ServerUnreachable, ServesNoModel
from adapters.llm.openai_wire import KeyRefused, OtherProtocol, WindowFull
from adapters.llm.reach import ModelElsewhere, Reach
from adapters.llm.server import BadModelAddress, Patience
from core.agent.model import (
    Card,
    ChatMessage,
    ModelBrokeOff,
    ModelCut,
    ModelFailed,
    ModelGarbled,
    ModelLoads,
    ModelMissing,
    ModelOverfull,
    ModelRepeats,
    ModelSilent,
    ModelTooLarge,
    ModelUnreachable,
    NoModelInstalled,
    ToolCall,
    ToolSpec,
    Unsaid,
    fitting,
    named,
)
from tests.fakes import FakeClock, outwait
from tests.ollama_server import Calls, Fault, OllamaServer, Part, Thinks
from tests.ollama_server import Wire as Fate
from tests.openai_server import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.agent.model import Model
    from core.errors import HubError

ASKED = [ChatMessage("system", "You are kind."), ChatMessage("user", "Hello?")]
PATIENT = Patience(listing=20, first=20, next=20, check=20)
SHORT = Patience(listing=0.2, check=0.2)
ADD = ToolSpec("add", "Adds numbers.", {"type": "object", "properties": {"a": {"type": "integer"}}})


class HandClock(SystemClock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0

    def now(self) -> int:
        return self.time


class Backend(NamedTuple):
    """A kind of model server: ours that is scripted, the adapter, and what it calls its errors."""

    server: type[OllamaServer | OpenAIServer]
    model: type[OllamaModel | OpenAIModel]
    setting: str
    unreachable: type[ModelUnreachable]
    nothing: type[NoModelInstalled]
    missing: type[ModelMissing]


BACKENDS = {
    "ollama": Backend(OllamaServer, OllamaModel, "TIMMY_OLLAMA_URL", ModelUnreachable, NoModelInstalled, ModelMissing),
    "openai": Backend(OpenAIServer, OpenAIModel, "TIMMY_OPENAI_URL", ServerUnreachable, NothingServed, ServesNoModel),
}
Server = OllamaServer | OpenAIServer


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]


@pytest.fixture
async def server(backend: Backend) -> AsyncIterator[Server]:
    async with backend.server.running("llama3.2:latest", "qwen3:8b") as server:
        yield server


@pytest.fixture
async def model(backend: Backend, server: Server) -> AsyncIterator[Model]:
    async with backend.model(server.url, clock=HandClock(), patience=PATIENT) as model:
        yield model


@pytest.fixture
def nowhere() -> str:
    """A URL where nothing listens."""
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def said(
    model: Model, name: str | None = None, tools: Sequence[ToolSpec] = (ADD,)
) -> list[str | ToolCall | Unsaid]:
    async with aclosing(model.chat(ASKED, model=name, num_ctx=2048, tools=tools)) as pieces:
        return [piece async for piece in pieces]


async def heard(model: Model, name: str | None = None) -> list[str]:
    async with aclosing(model.chat(ASKED, model=name, num_ctx=2048)) as pieces:
        return [str(piece) async for piece in pieces]


async def test_an_answer_comes_in_pieces(model: Model, server: Server) -> None:
    server.says("Hel", "lo", " Ann")
    assert await heard(model) == ["Hel", "lo", " Ann"]
    assert server.last["messages"] == [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "Hello?"},
    ]


async def test_every_request_says_how_large_the_window_is(model: Model, server: Server) -> None:
    await heard(model)
    await heard(model, "qwen3:8b")
    if isinstance(server, OllamaServer):
        assert [request["options"] for request in server.asked] == [{"num_ctx": 2048, "num_predict": 2048}] * 2
    else:  # the window is the server's: what is left of it bounds the answer
        assert all(1900 < request["max_tokens"] < 2048 for request in server.asked)
    assert all(request["stream"] for request in server.asked)


async def test_no_model_is_asked_with_more_than_it_was_made_for(model: Model, server: Server) -> None:
    server.window = 1024
    assert await model.card("qwen3:8b") == Card(1024, tools=True)
    await heard(model, "qwen3:8b")
    asked = server.last
    assert asked["options"]["num_ctx"] == 1024 if isinstance(server, OllamaServer) else asked["max_tokens"] < 1024


async def test_what_a_model_can_do_is_believed_for_a_while(server: Server, backend: Backend) -> None:
    clock = HandClock()
    async with backend.model(server.url, clock=clock) as model:
        assert (await model.card(None)).window == 131_072
        server.window = 1024
        assert (await model.card(None)).window == 131_072
        clock.time += 60_000
        assert await model.card(None) == Card(1024, tools=True)
        await server.stop()
        clock.time += 60_000
        assert await model.card(None) == Card(), "of one that cannot be asked nothing is known"


@pytest.mark.parametrize("engine", ["vllm", "lmstudio", "another"])
async def test_the_window_is_read_wherever_an_engine_says_it(engine: str) -> None:
    async with OpenAIServer.running("a", engine=engine) as server:
        server.window = 4096
        async with OpenAIModel(f"{server.url}/v1", clock=HandClock()) as model:
            assert await model.card("a") == Card(None if engine == "another" else 4096, tools=True)
            assert (await model.card("b")).window is None


ODD_FACTS = [
    ("llama.cpp", {"default_generation_settings": [], "chat_template_caps": {"supports_tools": True}}),
    ("llama.cpp", {"default_generation_settings": {"n_ctx": 4096}, "chat_template_caps": 7}),
    ("lmstudio", {"data": ["a", 7]}),
    ("lmstudio", {"data": 7}),
    ("lmstudio", {"data": [{"id": "a", "max_context_length": 4096, "capabilities": 7}]}),
]


@pytest.mark.parametrize(("engine", "facts"), ODD_FACTS)
async def test_facts_of_another_shape_are_none(engine: str, facts: dict[str, Any]) -> None:
    async with OpenAIServer.running("a", engine=engine) as server, OpenAIModel(server.url, clock=HandClock()) as model:
        server.facts = facts
        assert await model.card("a") == Card()
        assert await heard(model, "a") == ["You said:", " Hello?"]


async def test_a_server_that_does_not_say_whether_it_takes_tools_is_offered_some() -> None:
    async with OpenAIServer.running("a") as server, OpenAIModel(server.url, clock=HandClock()) as model:
        server.facts = {"default_generation_settings": {"n_ctx": 4096}}
        assert await model.card("a") == Card(4096, tools=True)
        server.tools = False
        assert await said(model) == ["You said:", " Hello?"]
        assert not (await model.card("a")).tools, "it refused them"


async def test_calls_come_whole_in_their_place(model: Model, server: Server) -> None:
    server.says("Let me see.", Calls("add", {"a": 1}), Calls("tell", {}), Calls("add", {"a": 2}), "So.")
    found = await said(model)
    assert [(one.name, one.arguments) if isinstance(one, ToolCall) else one for one in found] == [
        "Let me see.", ("add", {"a": 1}), ("tell", {}), ("add", {"a": 2}), "So.",
    ]  # fmt: skip
    assert server.last["tools"] == [
        {"type": "function", "function": {"name": "add", "description": ADD.description, "parameters": ADD.parameters}}
    ]
    await heard(model)
    assert not server.last.get("tools")


async def test_calls_and_their_results_are_given_back(model: Model, server: Server) -> None:
    told = [
        *ASKED,
        ChatMessage("assistant", "", (ToolCall("add", {"a": 1}), ToolCall("add", "garbled"))),
        ChatMessage("tool", "2", name="add"),
        ChatMessage("tool", "no", name="add"),
        ChatMessage("assistant", "", (ToolCall("add", {}, "id7"),)),
        ChatMessage("tool", "3", name="add", id="id7"),
    ]
    async with aclosing(model.chat(told, model=None, num_ctx=2048, tools=(ADD,))) as pieces:
        assert [piece async for piece in pieces]
    calls, first, second, call, third = server.last["messages"][2:]
    if isinstance(server, OllamaServer):
        assert [one["function"]["arguments"] for one in calls["tool_calls"]] == [{"a": 1}, {}]
        assert (first["tool_name"], first["content"]) == ("add", "2")
        return
    assert [one["function"]["arguments"] for one in calls["tool_calls"]] == ['{"a": 1}', "garbled"]
    ids = [one["id"] for one in calls["tool_calls"]]
    assert len(set(ids)) == 2
    assert [first["tool_call_id"], second["tool_call_id"]] == ids
    assert call["tool_calls"][0]["id"] == third["tool_call_id"] == "id7"


def part(index: int, *, id: str | None = None, name: str | None = None, arguments: str | None = None) -> Part:  # noqa: A002
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return Part({"index": index, "function": function} | ({"id": id, "type": "function"} if id else {}))


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ([part(0, id="x", name="add", arguments=""), part(0, arguments='{"a"'), part(0, arguments=": 1}")],
         [ToolCall("add", {"a": 1}, "x")]),
        ([part(0, id="x", name="add", arguments="{}"), part(1, id="y", name="add", arguments='{"a":'), part(1, arguments="2}")],
         [ToolCall("add", {}, "x"), ToolCall("add", {"a": 2}, "y")]),
        # Some engines number no calls: what has another id is another.
        ([part(0, id="x", name="add", arguments="{}"), part(0, id="y", name="add", arguments='{"a": 2}')],
         [ToolCall("add", {}, "x"), ToolCall("add", {"a": 2}, "y")]),
        ([part(0, name="add")], [ToolCall("add", {}, "call_1")]),
        ([part(0, id="x", name="add", arguments='{"a": 1')], [ToolCall("add", '{"a": 1', "x")]),
        ([part(0, id="x", name="add", arguments="[1]")], [ToolCall("add", "[1]", "x")]),
        ([Calls("add", "three")], [ToolCall("add", "three", "id_0")]),
    ],
)  # fmt: skip
async def test_a_call_in_parts_comes_whole(script: list[Any], calls: list[ToolCall]) -> None:
    async with OpenAIServer.running("a") as server, OpenAIModel(server.url, clock=HandClock()) as model:
        server.says(*script)
        assert await said(model) == calls


async def test_calls_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_wire, "LONGEST_LINE", 2**12)
    async with OpenAIServer.running("a") as server, OpenAIModel(server.url, clock=HandClock()) as model:
        server.says(part(0, id="x", name="add"), *[part(0, arguments="x" * 1000)] * 5, Fate.SILENCE)
        with pytest.raises(OtherProtocol, match="a call of more than"):
            await said(model)
        server.says(*(part(number, id=f"c{number}", name="add") for number in range(100)), Fate.SILENCE)
        with pytest.raises(OtherProtocol, match="more than 64 calls"):
            await said(model)


async def test_an_event_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "LARGEST_BODY", 2**12)
    async with OpenAIServer.running("a") as server, OpenAIModel(server.url, clock=HandClock()) as model:
        server.says(*[b"data: x\n" * 100] * 10, Fate.SILENCE)
        with pytest.raises(OtherProtocol, match="an event of more than"):
            await heard(model, "a")
        server.says(*["x" * 300] * 30)
        assert "".join(await heard(model, "a")) == "x" * 9000, "each by itself"


async def test_a_model_that_takes_no_tools_is_asked_without(server: Server, model: Model) -> None:
    if isinstance(server, OllamaServer):
        server.toolless = {"qwen3:8b"}
    else:
        server.tools = False
    assert not (await model.card("qwen3:8b")).tools
    assert await said(model, "qwen3:8b") == ["You said:", " Hello?"]
    assert "tools" in server.asked[-2]
    assert await said(model, "qwen3:8b") == ["You said:", " Hello?"]
    assert [bool(one.get("tools")) for one in server.asked] == [True, False, False], "it is asked once"
    assert not (await model.card("qwen3:8b")).tools


async def test_a_piece_arrives_while_the_rest_is_still_thought_about(model: Model, server: Server) -> None:
    gate = asyncio.Event()
    server.says("One", gate, " two")
    async with aclosing(model.chat(ASKED, model=None, num_ctx=2048)) as pieces:
        assert await anext(pieces) == "One"
        gate.set()
        assert [piece async for piece in pieces] == [" two"]


async def test_thoughts_are_not_the_answer(model: Model, server: Server) -> None:
    server.says(Thinks("They greet me."), Thinks(" So I greet."), "Hello.")
    assert await heard(model) == ["Hello."]


async def test_thoughts_within_the_text_are_not_the_answer_either(model: Model, server: Server) -> None:
    server.says("<th", "ink>They greet", " me.</thi", "nk>", "\n\nHel", "lo.")
    assert "".join(await heard(model)) == "Hello."
    server.says("<think>So", " I call.</think>", Calls("add", {"a": 1}))
    assert [one.name if isinstance(one, ToolCall) else one for one in await said(model)] == ["add"]
    server.says("```\n<think>a</think>\n", "```")
    assert "".join(await heard(model)) == "```\n<think>a</think>\n```", "what it shows is no thought"
    server.says("<think>So", " I greet")
    assert await heard(model) == [], "it never came to an answer"


async def test_a_thought_whose_beginning_stands_in_the_template_is_taken_back(model: Model, server: Server) -> None:
    thinks = "They greet me.", "\n</th", "ink>\n", "\nHello", "."
    server.says(*thinks)
    assert await said(model) == ["They greet me.", "\n</th", "ink>\n", Unsaid.ALL, "Hello", "."]
    server.says(*thinks)
    assert await said(model) == ["Hello", "."], "the next one is not said in the first place"
    server.says("I look it up.\n</think>\n\n", Calls("add", {"a": 1}))
    assert len(await said(model)) == 1
    server.says("I add.", Calls("add", {"a": 1}), " Done.")
    assert [one for one in await said(model) if isinstance(one, str)] == ["I add.", " Done."], (
        "no thought, and not lost"
    )
    server.says(*thinks)
    assert Unsaid.ALL in await said(model), "the last one did not think, so this one is said"
    server.says("Hel", "lo.")
    assert await said(model) == ["Hello."], "this one did not think"
    server.says("Hel", "lo.")
    assert await said(model) == ["Hel", "lo."]


async def test_an_answer_that_ends_with_such_a_mark_is_one(model: Model, server: Server) -> None:
    for _ in range(2):
        server.says("In full.", "\n</think>")
        assert (await said(model))[-2:] == [Unsaid.ALL, "In full."]
    server.says("<a>\n</reasoning>\n", "</a>")
    assert await said(model) == ["<a>\n</reasoning>\n", "</a>"]


async def test_what_is_asked_about_such_a_mark_is_answered_with_it(model: Model, server: Server) -> None:
    server.says("It ends\n</think>\n", "so.")
    asked = [ChatMessage("user", "What is </think> for?")]
    async with aclosing(model.chat(asked, model=None, num_ctx=2048)) as pieces:
        assert [piece async for piece in pieces] == ["It ends\n</think>\n", "so."]


async def test_a_thought_that_says_the_same_again_and_again_is_ended(model: Model, server: Server) -> None:
    server.says("<think>", *["But wait, is it nine? "] * 200)
    with pytest.raises(ModelRepeats):
        await said(model)


@pytest.mark.parametrize("end", [Fate.CUT, Fate.BREAK, Fate.UNFINISHED, Fault(500, "oops"), Fate.SILENCE])
async def test_a_thought_that_is_cut_is_not_said(model: Model, server: Server, end: Any) -> None:
    server.silence = partial(outwait, 30)
    server.says("<think>They", " greet me.", end)
    pieces: list[object] = []

    async def hear() -> None:
        async with aclosing(model.chat(ASKED, model="qwen3:8b", num_ctx=2048)) as stream:
            async for piece in stream:
                pieces.append(piece)  # noqa: PERF401 - what came before the error is looked at

    with pytest.raises((ModelCut, ModelBrokeOff, ModelFailed, ModelSilent)):
        await hear()
    assert pieces == []


async def test_closing_the_stream_hangs_up(model: Model, server: Server) -> None:
    server.says("One", Fate.SILENCE)
    async with aclosing(model.chat(ASKED, model=None, num_ctx=2048)) as pieces:
        assert await anext(pieces) == "One"
    await server.hung_up.wait()


@pytest.mark.long
async def test_a_hundred_that_wait_hold_up_no_other(server: Server, backend: Backend) -> None:
    gate = asyncio.Event()
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(backend.model(server.url, clock=HandClock()))
        held = []
        for _ in range(100):  # the size of httpx's own pool
            server.says("Well", gate, ".")
            pieces = await stack.enter_async_context(aclosing(model.chat(ASKED, model="qwen3:8b", num_ctx=2048)))
            assert await anext(pieces) == "Well"
            held.append(pieces)
        assert await heard(model) == ["You said:", " Hello?"]
        gate.set()
        assert [await anext(pieces) for pieces in held] == ["."] * 100


DEEP = b"[" * 20_000 + b"]" * 20_000
OLLAMA, OPENAI = frozenset({"ollama"}), frozenset({"openai"})
BOTH = OLLAMA | OPENAI
FAILURES: list[tuple[list[Any], type[HubError], str, frozenset[str]]] = [
    ([Fault(404, "model 'llama3.2' not found")], ModelMissing, "no model|/pull llama3.2:latest", BOTH),
    ([Fault(500, "model requires more system memory (9 GiB)")], ModelTooLarge, "more system memory", BOTH),
    ([Fault(500, "CUDA error: out of memory")], ModelTooLarge, "smaller one", BOTH),
    ([Fault(400, "request (719 tokens) exceeds the available context size (512)")], ModelOverfull, "/new", BOTH),
    ([Fault(400, "This model's maximum context length is 4096 tokens")], ModelOverfull, "4096", OPENAI),
    ([Fault(503, "Loading model")], ModelLoads, "still being loaded", BOTH),
    ([Fault(401, "Invalid API Key")], KeyRefused, "TIMMY_OPENAI_KEY", OPENAI),
    ([Fault(500, b'{"error": "oops"}')], ModelFailed, "oops", BOTH),
    ([Fault(422, b'{"detail": [{"msg": "field required"}]}')], ModelFailed, "field required", OPENAI),
    ([Fault(500, b"\xff\xfe oops")], ModelFailed, "oops", BOTH),
    ([Fault(500, b"[1]")], ModelGarbled, "TIMMY_OLLAMA_URL", OLLAMA),
    ([Fault(502, b"")], ModelFailed, "status 502", BOTH),
    ([Fault(404, b"404 page not found")], ModelGarbled, "404 page not found", BOTH),
    ([Fault(301, b"")], ModelFailed, "status 301", BOTH),
    ([b'{"message": ' + b"[" * 50_000 + b"\n"], ModelGarbled, "in its answer", OLLAMA),
    ([Fate.BREAK], ModelFailed, "closed the connection", BOTH),
    (["Hel", Fate.BREAK], ModelBrokeOff, "broke off", BOTH),
    (["Hel", Fate.UNFINISHED], ModelBrokeOff, "broke off", BOTH),
    (["Hel", Fault(500, "an error was encountered")], ModelFailed, "an error was encountered", BOTH),
    (["Hel", Fate.CUT], ModelCut, "TIMMY_OLLAMA_NUM_CTX", OLLAMA),
    (["Hel", Fate.CUT], WindowFull, "larger one", OPENAI),
    ([b"<html>hello</html>\n"], ModelGarbled, "protocol", BOTH),
    ([b"[]\n"], ModelGarbled, "protocol", OLLAMA),
    ([b"null\n"], ModelGarbled, "protocol", OLLAMA),
    ([b'{"message": 7}\n'], ModelGarbled, "protocol", OLLAMA),
    ([b'{"done": true}\n'], ModelGarbled, "protocol", OLLAMA),
    ([b'{"message": {"role": "assistant"\n'], ModelGarbled, "protocol", OLLAMA),
    ([b"data: []\n\n"], ModelGarbled, "protocol", OPENAI),
    ([b"data: null\n\n"], ModelGarbled, "protocol", OPENAI),
    ([b'data: {"choices": 7}\n\n'], ModelGarbled, "protocol", OPENAI),
    ([b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'], ModelGarbled, "protocol", OPENAI),
    ([b'data: {"choices": [{"delta": {"tool_calls": [7]}}]}\n\n'], ModelGarbled, "protocol", OPENAI),
    ([b'{"message": %s}\n' % DEEP], ModelGarbled, "RecursionError in its answer", OLLAMA),
    ([b'data: {"choices": %s}\n\n' % DEEP], ModelGarbled, "RecursionError in its answer", OPENAI),
    ([b'data: {"choices": [\n\n'], ModelGarbled, "protocol", OPENAI),
    ([b"\xff\xfe\n\n", Fate.UNFINISHED], ModelBrokeOff, "broke off", OPENAI),
    (
        [b'{"message": {"role": "assistant", "content": "%s"}}\n' % (b"x" * 2**20)],
        ModelGarbled,
        "a line of more than 1 MB",
        BOTH,
    ),
    ([*[b"x" * 2**18] * 5, Fate.SILENCE], ModelGarbled, "a line of more than 1 MB", BOTH),
    ([Fate.SILENCE], ModelSilent, "said nothing for", BOTH),
    (["Hel", Fate.SILENCE], ModelSilent, "said nothing for", BOTH),
]
"""What is scripted, what it is called, in words too, and of which kind of server. The second tries what it shares in depth."""


@pytest.mark.parametrize(
    ("backend", "script", "error", "says"),
    [
        pytest.param(kind, *case, marks=[pytest.mark.long] * (kind == "openai" and of == BOTH))
        for *case, of in FAILURES
        for kind in sorted(of)
    ],
    indirect=["backend"],
)
async def test_whatever_goes_wrong_is_named(
    model: Model, server: Server, script: list[Any], error: type[HubError], says: str
) -> None:
    server.silence = partial(outwait, 30)
    for _ in range(
        2 if error is ModelOverfull and isinstance(server, OpenAIServer) else 1
    ):  # a shorter answer is asked for
        server.says(*script)
    with pytest.raises(error, match=says) as raised:
        await heard(model, "llama3.2:latest")
    assert "\n" not in str(raised.value)
    assert await heard(model) == ["You said:", " Hello?"]


async def test_vllm_says_its_errors_in_a_form_of_its_own() -> None:
    async with OpenAIServer.running("a", engine="vllm") as server, OpenAIModel(server.url, clock=HandClock()) as model:
        for script in ([Fault(400, "no such thing")], ["Hel", Fault(400, "no such thing")]):
            server.says(*script)
            with pytest.raises(ModelFailed, match="no such thing"):
                await heard(model)


async def test_only_a_line_feed_ends_a_line(model: Model, server: Server) -> None:
    odd = "a\u2028b\x85c\u2029d"
    server.says(odd, "e")
    assert await heard(model) == [odd, "e"]


async def test_what_stands_between_events_is_no_answer() -> None:
    async with OpenAIServer.running("a") as server, OpenAIModel(server.url, clock=HandClock()) as model:
        server.says(b": ping\n\n", "a\u2028b\x85", b"event: x\ndata: {}\n\n", "c")
        assert "".join(await heard(model)) == "a\u2028b\x85c"


def test_every_error_of_the_libraries_is_ours() -> None:
    ours_by_name: dict[wire.Wire | openai_wire.Wire, tuple[type[Exception], ...]] = {
        wire.Wire("http://127.0.0.1:1", connect=1, reach=Reach()): wire.LIBRARY_ERRORS,
        openai_wire.Wire("http://127.0.0.1:1", connect=1, reach=Reach(), key=None): openai_wire.LIBRARY_ERRORS,
    }
    errors = [
        kind
        for library in (httpx, ollama, httpx_sse)
        for _, kind in inspect.getmembers(library, inspect.isclass)
        if issubclass(kind, Exception)
    ]
    assert len(errors) > 20
    for a_wire, library_errors in ours_by_name.items():
        foreign = ollama.ResponseError if isinstance(a_wire, openai_wire.Wire) else httpx_sse.SSEError
        ours = (
            *library_errors,
            httpx.CookieConflict,
            ollama.RequestError,
            foreign,
        )  # of cookies, of arguments left out
        assert [kind for kind in errors if not issubclass(kind, ours)] == []
        made = [kind.__new__(kind) for kind in errors if kind is not ollama.ResponseError]
        named_as = {type(a_wire._translate(error)) for error in made if not isinstance(error, foreign)}
        assert len(named_as) == 4
        for kind in (ModelUnreachable, ModelSilent, ModelFailed, ModelGarbled):
            assert any(issubclass(one, kind) for one in named_as)


async def test_with_nothing_there_it_says_so_at_once(nowhere: str, backend: Backend) -> None:
    async with backend.model(nowhere, clock=HandClock()) as model:
        for ask in (heard(model), model.models(), model.default()):
            with pytest.raises(backend.unreachable):
                await ask
        assert await model.check() == str(backend.unreachable(url=nowhere))


async def test_a_server_that_goes_away_is_missed(server: Server, model: Model) -> None:
    await heard(model)
    await server.stop()
    for ask in (heard(model), heard(model, "qwen3:8b"), model.models()):
        with pytest.raises(ModelUnreachable):
            await ask


def test_with_nothing_there_no_library_is_loaded(nowhere: str) -> None:
    program = f"""
import asyncio, sys
from adapters.clockwork import SystemClock
from adapters.llm.ollama import OllamaModel
from adapters.llm.openai import OpenAIModel
async def main():
    print(await OpenAIModel({nowhere!r}, clock=SystemClock()).check())
    print(await OllamaModel({nowhere!r}, clock=SystemClock()).check())
asyncio.run(main())
assert not {{"ollama", "httpx", "httpx_sse"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"No model answers at {nowhere}.")


async def test_models_are_listed_by_name(model: Model) -> None:
    assert await model.models() == ["llama3.2:latest", "qwen3:8b"]


async def test_the_hubs_own_model_is_the_configured_one_else_the_first(server: Server, backend: Backend) -> None:
    async with backend.model(server.url, clock=HandClock()) as model:
        assert await model.default() == "llama3.2:latest"
    async with backend.model(server.url, "qwen3:8b", clock=HandClock()) as model:
        assert await model.default() == "qwen3:8b"
        assert await model.check() is None
        await heard(model)
    assert server.last["model"] == "qwen3:8b"


async def test_no_question_waits_for_the_list_of_models(server: Server, backend: Backend) -> None:
    clock = HandClock()
    async with backend.model(server.url, clock=clock) as model:
        await heard(model)
        listed = server.listed
        await heard(model)
        assert server.listed == listed
        server.models = ["qwen3:8b"]
        with pytest.raises(backend.missing):
            await heard(model)
        await heard(model)
        assert server.last["model"] == "qwen3:8b", "what is gone is looked for once"
        server.models = ["phi4:latest", "qwen3:8b"]
        clock.time += 10_000
        await heard(model)
        assert server.last["model"] == "phi4:latest"


async def test_models_that_only_embed_or_run_elsewhere_are_never_taken() -> None:
    async with (
        OpenAIServer.running("text-embedding-nomic", "qwen3:8b") as other,
        OpenAIModel(other.url, clock=HandClock()) as model,
    ):
        assert await model.models() == ["qwen3:8b"]
    chat = ["qwen3:8b", "hf.co/EmbeddedLLM/Mistral-7B-Merge-14-v0.2"]
    async with OllamaServer.running("nomic-embed-text:latest", "gpt-oss:120b-cloud", "glm:cloud", *chat) as server:
        server.families["nomic-embed-text:latest"] = "nomic-bert"
        async with OllamaModel(server.url, clock=HandClock()) as model:
            assert await model.models() == chat
        async with OllamaModel(server.url, "gpt-oss:120b-cloud", clock=HandClock()) as model:
            assert await model.check() is None


async def test_a_server_without_a_model_says_how_to_get_one(server: Server, model: Model, backend: Backend) -> None:
    server.models = []
    with pytest.raises(backend.nothing, match=r"ollama pull|Start it with one"):
        await heard(model)
    assert await model.check() == str(backend.nothing(url=server.url))


async def test_a_configured_model_that_is_missing_is_named(server: Server, backend: Backend) -> None:
    async with backend.model(server.url, "phi4", clock=HandClock()) as model:
        assert await model.check() == str(backend.missing(model="phi4", url=server.url))
        with pytest.raises(backend.missing):
            await heard(model)


@pytest.mark.parametrize("listing", [Fault(500, "oops"), Fault(200, b"{}"), Fault(200, b"[]"), Fault(200, b"x")])
async def test_a_list_that_is_none_is_no_model(model: Model, server: Server, listing: Fault) -> None:
    server.listing = listing
    assert await model.check() is not None


async def test_an_answer_that_is_read_whole_is_bounded(
    model: Model, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "LARGEST_BODY", 2**16)
    server.listing = Fault(200, b'{"models": [], "data": []' + b" \n" * 2**15 + b"}")
    with pytest.raises(ModelGarbled, match="an answer of more than"):
        await model.models()
    server.says(Fault(500, b"x" * 2**17))
    with pytest.raises(ModelGarbled, match="an answer of more than"):
        await heard(model, "llama3.2:latest")


async def test_an_answer_that_would_unpack_into_more_is_not_unpacked(model: Model, server: Server) -> None:
    server.packs = True
    with pytest.raises(ModelGarbled, match="compressed"):
        await model.models()


async def test_a_check_is_believed_for_some_seconds(server: Server, backend: Backend) -> None:
    clock = HandClock()
    async with backend.model(server.url, clock=clock) as model:
        assert await asyncio.gather(*(model.check() for _ in range(9))) == [None] * 9
        clock.time += 4_999
        await model.check()
        assert server.listed == 1
        server.models = []
        clock.time += 1
        assert await model.check() is not None


@pytest.mark.long
async def test_a_server_that_takes_calls_and_never_answers_is_given_up(backend: Backend) -> None:
    with closing(socket()) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # the kernel takes the calls, nobody picks up
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        clock = HandClock()
        async with backend.model(url, clock=clock, patience=SHORT) as model:
            assert await model.check() is None, "a server that works may be slow to answer"
            clock.time += 14_000
            assert await model.check() is None
            clock.time += 5_000
            assert await model.check() == str(ModelSilent(seconds=19))
            with pytest.raises(ModelSilent):
                await model.models()


async def test_while_a_watch_looks_the_last_verdict_counts(server: Server, backend: Backend) -> None:
    clock = FakeClock()
    patience = Patience(check=60)
    async with backend.model(server.url, clock=clock, patience=patience) as model, Nursery() as nursery:
        nursery.spawn(model.watch(), "watch")
        await asyncio.wait_for(clock.slept.wait(), 5)
        server.gate = asyncio.Event()  # from now on the server hangs
        server.seen.clear()
        clock.advance(60_000)
        await asyncio.wait_for(server.seen.wait(), 5)
        assert await asyncio.wait_for(model.check(), 1) is None


async def test_no_key_of_the_cloud_is_sent_and_no_proxy_asked(
    model: Model, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("OLLAMA_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(key, "canary")
    for key in ("HTTP_PROXY", "ALL_PROXY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(key, "http://127.0.0.1:9")
    await heard(model)
    assert "canary" not in str(server.headers)


async def test_a_key_is_sent_and_never_shown() -> None:
    async with OpenAIServer.running("a") as server:
        server.key = "canary"
        async with OpenAIModel(server.url, clock=HandClock(), key="canary") as model:
            assert await heard(model) == ["You said:", " Hello?"]
        for key in (None, "canary2"):
            async with OpenAIModel(server.url, clock=HandClock(), key=key) as model:
                with pytest.raises(KeyRefused) as refused:
                    await heard(model)
                assert "canary" not in str(refused.value)
                assert await model.check() == str(refused.value)


async def test_a_name_that_leads_elsewhere_is_asked_nothing(server: Server, backend: Backend) -> None:
    port = int(server.url.rpartition(":")[2])
    led = ["127.0.0.1"]

    async def look_up(host: str, at: int) -> list[str]:
        assert at == port
        return [*led]

    async def asked(reach: Reach, host: str = "models.lan") -> list[str]:
        async with backend.model(f"http://{host}:{port}", clock=HandClock(), reach=reach) as model:
            await model.models()
            led[:] = ["127.0.0.1", "93.184.215.14"]  # rebound, once it was found good
            return await heard(model, "qwen3:8b")

    with pytest.raises(ModelElsewhere, match=r"models\.lan leads to 93\.184\.215\.14.*TIMMY_MODEL_HOSTS=models.lan"):
        await asked(Reach(look_up=look_up))
    with pytest.raises(ModelElsewhere):
        await asked(Reach(look_up=look_up))
    assert server.asked == []
    led[:] = ["127.0.0.1"]
    assert await asked(Reach(frozenset({"models.lan"}), look_up), "models.LAN") == ["You said:", " Hello?"]
    assert server.headers[-1]["host"].lower() == f"models.lan:{port}"


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "0.0.0.0"])
async def test_an_address_elsewhere_is_asked_nothing(address: str, backend: Backend) -> None:
    host = f"[{address}]" if ":" in address else address
    async with backend.model(f"http://{host}:9", clock=HandClock()) as model:
        with pytest.raises(ModelElsewhere):
            await model.models()


async def test_of_several_addresses_the_first_that_answers_is_taken(server: Server, backend: Backend) -> None:
    async def look_up(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    url = server.url.replace("127.0.0.1", "models.lan")
    async with backend.model(url, clock=HandClock(), reach=Reach(look_up=look_up)) as model:
        assert await heard(model) == ["You said:", " Hello?"]


async def test_a_name_that_leads_nowhere_is_no_model(backend: Backend) -> None:
    async def look_up(host: str, port: int) -> list[str]:
        raise OSError

    async with backend.model("http://models.lan:1", clock=HandClock(), reach=Reach(look_up=look_up)) as model:
        with pytest.raises(backend.unreachable):
            await model.models()


async def test_names_that_nobody_could_type_are_made_sayable() -> None:
    files = ("/srv/models/qwen3 8b@q4.gguf", "C:\\models\\x.gguf", "org/name:tag", "org/name:tag")
    async with OpenAIServer.running(*files) as server, OpenAIModel(server.url, clock=HandClock()) as model:
        assert await model.models() == ["qwen3-8b-q4.gguf", "C:-models-x.gguf", "org/name:tag"]
        assert await heard(model, "qwen3-8b-q4.gguf") == ["You said:", " Hello?"]
        assert server.last["model"] == files[0]


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
def test_only_an_http_address_is_taken(url: str, backend: Backend) -> None:
    with pytest.raises(BadModelAddress, match=backend.setting):
        backend.model(url, clock=HandClock())


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


def test_a_window_is_what_both_allow() -> None:
    assert fitting(8192, Card()) == fitting(8192, Card(window=8192)) == fitting(8192, Card(131_072)) == 8192
    assert fitting(8192, Card(2048)) == 2048
