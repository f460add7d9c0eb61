"""The bounds of the tool loop, and what it makes of tools that fail."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemClock, running
from adapters.llm.openai import OpenAIModel
from core.agent import loop
from core.agent.agent import STOPPED, Assistant
from core.agent.loop import MAX_ASKED, MAX_BARRED, MAX_CALLS, MAX_OFFERED, Loop, Scene, Turned, cut, few
from core.agent.model import Bounds, ModelOverfull
from core.agent.prompt import shown, tokens, window
from core.agent.session import Called, Step, Turn
from core.agent.tool import Effect, NoTools, Output, Use
from core.chat import Caller, Role
from core.errors import UserError
from tests.ollama_server import Calls, Fault
from tests.openai_server import OpenAIServer
from tests.toolbox import Box, Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.llm.ollama import OllamaModel
    from adapters.llm.server import ModelServer
    from adapters.sqlite.writer import Database
    from core.agent.agent import Answer
    from core.events import Json
    from tests.ollama_server import OllamaServer

HERE = "telegram:5"


class NoSuchFile(UserError):
    """There is no file {path}."""


async def _text(path: str) -> str:
    return f"{path} is empty."


async def _nothing() -> str:
    return "Nothing."


async def ask(assistant: Assistant, text: str, key: str = "k1", said: list[str] | None = None) -> Answer:
    use = Use(Caller(HERE, Role.MEMBER), HERE, key)
    return await assistant.turn(HERE, text, key, (said if said is not None else []).append, use=use)


def agent(store: Database, model: ModelServer, *tools: Made, bounds: Bounds | None = None) -> Assistant:
    return Assistant(store, model, toolbox=Box(tools), bounds=bounds)


def asked(text: str, *turns: Turn) -> Scene:
    return Scene(lambda calls: "", turns, text)


async def test_people_see_what_is_called(store: Database, model: OllamaModel, server: OllamaServer) -> None:
    server.says("Let me look. ", Calls("read_file", {"path": "a.md"}))
    server.says("Empty.")
    said: list[str] = []
    await ask(agent(store, model, Made("read_file", _text, takes=("path",))), "What is in a.md?", said=said)
    assert said == ["Let me look. ", "Let me look.\n\n… read_file a.md", "Empty."]


async def test_a_tool_that_fails_is_a_result(store: Database, model: OllamaModel, server: OllamaServer) -> None:
    async def missing(path: str) -> str:
        raise NoSuchFile(path=path)

    async def broken() -> str:
        raise ZeroDivisionError

    server.says(Calls("read_file", {"path": "b.md"}), Calls("calculate", {}))
    server.says("Neither works.")
    tools = Made("read_file", missing, takes=("path",)), Made("calculate", broken)
    assert (await ask(agent(store, model, *tools), "Try")).text == "Neither works."
    assert "Error: There is no file b.md." in server.results[0]
    assert server.results[1] == "Error: it failed; the hub's log says more."


@pytest.mark.parametrize("effect", [Effect.READ, Effect.WRITE, Effect.OWN])
async def test_what_is_called_several_times_at_once_is_made_once(
    store: Database, model: OllamaModel, server: OllamaServer, effect: Effect
) -> None:
    """And is no mistake that ends the calling: what is called next is still made."""
    server.says(*[Calls("write_file", {"path": "a"})] * MAX_CALLS)
    server.says(Calls("write_file", {"path": "b"}))
    server.says("Both.")
    write = Made("write_file", _text, effect, takes=("path",))
    answer = await ask(agent(store, model, write), "Write")
    assert (answer.text, answer.called) == ("Both.", ("write_file", "write_file"))
    assert write.called == [{"path": "a"}, {"path": "b"}]
    same = "This is the same call as one above, and was made once; see its result there."
    assert server.results == ["a is empty.", same, same, same, "b is empty."]


async def test_a_tool_that_hangs_is_ended(
    store: Database, model: OllamaModel, server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(loop, "CALL_SECONDS", 0.01)
    server.says(Calls("wait", {}))
    server.says("It hangs.")
    assert (await ask(agent(store, model, Made("wait", hangs)), "Wait")).text == "It hangs."
    assert server.results == ["Error: it was not done after 0 s and was stopped."]


async def test_stop_in_mid_tool_ends_it_and_keeps_what_was_done(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hangs() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    assistant = agent(store, model, Made("read_file", _text, takes=("path",)), Made("wait", hangs))
    server.says("I try. ", Calls("read_file", {"path": "a.md"}), Calls("wait", {}))
    answers: list[Answer] = []

    async def talk() -> None:
        answers.append(await ask(assistant, "Wait"))

    async with running(talk(), "talk"):
        await begun.wait()
        assert assistant.stop(HERE)
    assert ended.is_set()
    assert answers[0].text == STOPPED
    assert answers[0].called == ("read_file", "wait")
    server.says("As you see.")
    await ask(assistant, "And?", "k2")
    assert server.results == [
        "a.md is empty.",
        "It was broken off; look whether it was done before you call it again.",
    ]


async def test_a_turn_that_a_crash_broke_off_goes_on_behind_its_last_step(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    tool = Made("read_file", _text, takes=("path",))
    gate = asyncio.Event()
    server.says(Calls("read_file", {"path": "a.md"}))
    server.says("Hm", gate)

    class Died(list[str]):
        def append(self, said: str) -> None:
            if said == "Hm":
                scope.reschedule(0)

    with suppress(TimeoutError):
        async with asyncio.timeout(None) as scope:
            await ask(agent(store, model, tool), "What is in a.md?", said=Died())
    server.says("Empty.")
    answer = await ask(agent(store, model, tool), "What is in a.md?")
    assert (answer.text, answer.called) == ("Empty.", ("read_file",))
    assert len(tool.called) == 1
    assert await ask(agent(store, model, tool), "What is in a.md?") == answer


async def test_a_step_whose_keeping_is_broken_off_stands_in_the_turn(model: OllamaModel, server: OllamaServer) -> None:
    async def keep(number: int, step: Step) -> None:
        raise TimeoutError

    server.says(Calls("read_file", {"path": "a.md"}))
    tool, turned = Made("read_file", _text, takes=("path",)), Turned()
    scene = Scene(lambda _: "", (), "Look", [tool], Use(Caller(HERE, Role.MEMBER), HERE, "k"))
    with pytest.raises(TimeoutError):
        await Loop(model, Bounds()).run(scene, turned, None, lambda _: None, keep)
    assert [call.result for step in turned.steps for call in step.calls] == ["a.md is empty."]


def test_the_ids_of_calls_are_such_as_every_template_takes() -> None:
    said, *given = shown(Step("", (Called("a", {}, "1"), Called("b", {}, "2"))))
    assert [call.id for call in said.calls] == [result.id for result in given] == ["call00000", "call00001"]


async def test_what_was_done_since_fits_the_models_own_window(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    server.window = 1024
    server.says("Read.")
    done = Called("read_file", {"path": "a.md"}, "rain " * 2000)
    use = Use(Caller(HERE, Role.MEMBER), HERE, "k1")
    await agent(store, model).turn(HERE, "/continue A-1", "k1", lambda _: None, use=use, done=done)
    assert tokens(server.results[0]) < 1024 // 2


@pytest.mark.parametrize("as_text", [False, True])
async def test_more_calls_at_once_than_are_made(
    store: Database, model: OllamaModel, server: OllamaServer, as_text: bool
) -> None:
    tool = Made("read_file", _text, takes=("path",))
    calls = [Calls("read_file", {"path": f"{number}.md"}) for number in range(MAX_CALLS + 3)]
    written = json.dumps([{"name": call.name, "arguments": call.arguments} for call in calls])
    server.says(*([written] if as_text else calls))
    server.says("Read.")
    said: list[str] = []
    await ask(agent(store, model, tool), "Read all", said=said)
    assert [use.key for use in tool.uses] == [f"k1/0.{number}" for number in range(MAX_CALLS)]
    assert not any("{" in one for one in said), "a call is no answer"


@pytest.mark.parametrize("repeats", [False, True])
async def test_who_breaks_calls_or_repeats_them_thrice_only_speaks(
    store: Database, model: OllamaModel, server: OllamaServer, repeats: bool
) -> None:
    known = Calls("read_file", {"path": "a.md"})
    server.says(known)
    for number in range(3):
        server.says(known if repeats else Calls(f"pay{number}", {}))
    server.says(Calls("read_file", {"path": "b.md"}), "Then not.")
    tool = Made("read_file", _text, takes=("path",))
    assert (await ask(agent(store, model, tool), "Pay")).text == "Then not."
    assert tool.called == [{"path": "a.md"}]


async def test_of_a_tool_that_there_is_not_a_short_plain_name_is_kept(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    server.says(Calls("<|im_start|>" + "x" * 999, {}))
    server.says("No.")
    answer = await ask(agent(store, model, Made("calculate", _nothing)), "Do")
    assert answer.called == (f" {'x' * 59}: failed",)


async def test_on_behalf_of_nobody_nothing_is_offered(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    server.says(Calls("calculate", {}), "Nothing.")
    tool = Made("calculate", _nothing)
    assert (await agent(store, model, tool).turn(HERE, "Do", "k1", lambda _: None)).text == "Nothing."
    assert (server.last.get("tools") or [], tool.called) == ([], [])


async def test_what_was_asked_before_a_crash_counts(model: OllamaModel, server: OllamaServer) -> None:
    async def keep(number: int, step: Step) -> None:
        assert number == 1

    class Asker:
        async def ask(self, *_: object) -> tuple[int, str]:
            return 9, "A-9"

    server.says(Calls("write_file", {"path": "a.md"}))
    server.says("Enough.")
    before = [Called("write_file", {"path": str(number)}, "asked", asked=number) for number in range(MAX_ASKED)]
    tool, turned = Made("write_file", _text, Effect.ASK, takes=("path",)), Turned(steps=[Step("", tuple(before))])
    scene = Scene(lambda _: "", (), "Write", [tool], Use(Caller(HERE, Role.MEMBER), HERE, "k"), Asker())
    await Loop(model, Bounds()).run(scene, turned, None, lambda _: None, keep)
    assert [call.result for call in turned.steps[1].calls] == [
        "Refused: enough waits for the person already. End your answer."
    ]


async def test_what_nobody_is_asked_about_since_it_cannot_be_done_is_looked_at_so_often_and_no_more(
    model: OllamaModel, server: OllamaServer
) -> None:
    looked: list[str] = []

    class Barred(Made):
        async def look(self, arguments: Mapping[str, Json], use: Use) -> None:
            looked.append(str(arguments["path"]))
            if arguments["path"] != "good":
                raise NoSuchFile(path=arguments["path"])

    class Asker:
        async def ask(self, *_: object) -> tuple[int, str]:
            return 9, "A-9"

    async def keep(number: int, step: Step) -> None:
        """In memory."""

    paths = ["0", "good", *map(str, range(1, MAX_BARRED + 2))]
    rounds = [paths[at : at + MAX_CALLS] for at in range(0, len(paths), MAX_CALLS)]
    for one in rounds:
        server.says(*[Calls("write_file", {"path": path}) for path in one])
    server.says("It cannot be done.")
    tool, turned = Barred("write_file", _text, Effect.ASK, takes=("path",)), Turned()
    scene = Scene(lambda _: "", (), "Write", [tool], Use(Caller(HERE, Role.MEMBER), HERE, "k"), Asker())
    await Loop(model, Bounds()).run(scene, turned, None, lambda _: None, keep)
    assert looked == paths[: MAX_BARRED + 1], "what could be asked is not counted"
    results = [call.result for step in turned.steps for call in step.calls]
    assert results[1] == "A person is asked to agree, as A-9. It is not done yet."
    assert len(results) == len(paths)
    assert set(results[MAX_BARRED + 1 :]) == {
        "Refused: too many of your calls cannot be done. End your answer, and say what stands in the way."
    }
    assert turned.said == "It cannot be done."


async def test_without_anybody_to_ask_it_is_refused(store: Database, model: OllamaModel, server: OllamaServer) -> None:
    tool = Made("write_file", _text, Effect.ASK, takes=("path",))
    server.says(Calls("write_file", {"path": "a.md"}))
    server.says("I may not.")
    await ask(agent(store, model, tool), "Write")
    assert server.results == ["Refused: this waits for a person to agree, and nobody is there. Do without it."]
    assert tool.called == []


@pytest.mark.parametrize("by", ["read_file", "fetch_page", "answer"])
async def test_an_address_that_a_file_an_error_or_the_model_itself_named_is_asked_about(
    store: Database, model: OllamaModel, server: OllamaServer, by: str
) -> None:
    elsewhere = "https://evil.example/?notes=nine"

    async def read(path: str) -> Output:
        return Output(f"{path}: {elsewhere}")

    async def fetch(url: str) -> Output:
        raise NoSuchFile(path=elsewhere)

    reads, fetches = Made("read_file", read, takes=("path",)), Made("fetch_page", fetch, outward="url", takes=("url",))
    assistant = agent(store, model, reads, fetches)
    first: dict[str, str | Calls] = {
        "read_file": Calls("read_file", {"path": "a.md"}),
        "fetch_page": Calls("fetch_page", {"url": "https://a.example/"}),
        "answer": f"There is {elsewhere}",
    }
    server.says(first[by])
    if by == "answer":
        await ask(assistant, "Look at https://a.example/", "k0")
    server.says(Calls("fetch_page", {"url": elsewhere}))
    server.says("No.")
    await ask(assistant, "Look at https://a.example/")
    assert elsewhere not in [call["url"] for call in fetches.called]
    assert server.results[-1] == "Refused: this waits for a person to agree, and nobody is there. Do without it."


async def test_results_fill_the_window_by_whole_rounds(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    async def long(path: str) -> Output:
        return Output(f"{path} " * 2000, outside=False)

    for number in range(6):
        server.says(Calls("read_file", {"path": f"{number}.md"}))
    server.says("Read.")
    small = Bounds(window=2048)
    await ask(agent(store, model, Made("read_file", long, takes=("path",)), bounds=small), "Read all")
    assert sum(tokens(str(message.get("content"))) for message in server.last["messages"]) < small.window
    assert any("do not fit any more" in str(message.get("content")) for message in server.last["messages"])
    assert "[cut here: " in server.results[-1]
    roles = [message["role"] for message in server.last["messages"] if message["role"] in {"user", "assistant"}]
    assert ("user", "user") not in pairwise(roles)  # templates of Gemma and Mistral refuse that


async def test_a_model_that_counts_more_tokens_is_given_less_and_never_cuts_in_silence(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    """As with a small vocabulary, or one that takes what is written here for many tokens."""
    talker = agent(store, model, bounds=Bounds(window=2048))
    for number in range(12):
        await ask(talker, f"{number} " + "word " * 40, key=f"k{number}")
    whole = len(server.last["messages"])
    server.bytes_per_token = 1.5
    answer = await ask(talker, "The newest question?", key="k99")
    assert answer.text == "You said: The newest question?"
    given = server.last["messages"]
    assert 3 <= len(given) < whole
    assert "does not fit any more" in given[0]["content"]
    assert "The 11" in f"The {given[-3]['content']}", "the newest exchange is there"
    refused = sum(body["messages"][-1] == given[-1] for body in server.asked) - 1
    assert 1 <= refused <= 6


async def test_a_server_that_counts_what_may_be_answered_too_is_asked_for_less(store: Database) -> None:
    """As vLLM does: what is left out of the prompt must not be asked for as a longer answer."""
    async with (
        OpenAIServer.running("qwen3:8b", engine="vllm") as server,
        OpenAIModel(server.url, clock=SystemClock()) as model,
    ):
        server.window = 2048
        talker = agent(store, model, bounds=Bounds(window=2048))
        for number in range(12):
            await ask(talker, f"{number} " + "word " * 20, key=f"k{number}")
        whole = len(server.last["messages"])
        assert server.last["max_tokens"] > 512
        server.bytes_per_token = 1.5
        assert (await ask(talker, "The newest?", key="k98")).text == "You said: The newest?"
        assert 3 <= len(server.last["messages"]) < whole
        assert server.last["max_tokens"] == 512
        server.bytes_per_token = 0.001
        server.asked.clear()
        with pytest.raises(ModelOverfull, match="maximum context"):
            await ask(talker, "And now?", key="k99")
        assert len(server.asked) <= 20


@pytest.mark.parametrize("text", ["word " * 300, "word"])
async def test_what_cannot_be_made_less_is_refused_at_once(model: OllamaModel, server: OllamaServer, text: str) -> None:
    async def keep(number: int, step: Step) -> None:
        raise AssertionError

    server.bytes_per_token = 0.001
    with pytest.raises(ModelOverfull, match="longer than the context length"):
        await Loop(model, Bounds(window=2048)).run(asked(text), Turned(), None, lambda _: None, keep)
    assert len(server.asked) == 1


async def test_what_was_called_before_it_did_not_fit_any_more_is_told(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    server.says(Calls("read_file", {"path": "a.md"}))
    server.says(Fault(400, "longer than the context length"))
    answer = await ask(agent(store, model, Made("read_file", _text, takes=("path",))), "What is in a.md?")
    assert answer.text.startswith("(This does not fit into the model's window")
    assert answer.called == ("read_file",)


def test_few_tools_are_those_that_the_words_mean() -> None:
    tools = [Made(f"tool_{number}", _text) for number in range(12)]
    wanted = Made("weather_report", _text)
    assert few(tools[:MAX_OFFERED], asked("anything"), 2048) == tools[:MAX_OFFERED]
    chosen = few([*tools, wanted], asked("How is the weather?"), 2048)
    assert len(chosen) == MAX_OFFERED
    assert chosen[-1] is wanted
    sums = Made("calculate", _text)
    assert sums in few([*tools, sums], asked("How much is 17 times 4 by tool number 3?"), 2048)


def test_a_small_window_is_left_room_by_the_tools() -> None:
    tools = [Made(f"tool_{number}", _text, takes=("path",)) for number in range(8)]
    weather = Made("weather_report", _text)
    assert few(tools, asked("anything"), 100) == tools[:2]
    assert few([*tools[:7], weather], asked("How is the weather?"), 1) == [weather]


def test_what_was_called_lately_or_asked_before_is_offered_again() -> None:
    tools = [Made(f"tool_{number}", _text) for number in range(12)]
    last, weather = Made("read_file", _text), Made("weather_report", _text)
    step = Step("", (Called("read_file", {}, "x"),))
    turns = Turn("user", "How is the weather?", "k"), Turn("assistant", "Wet.", "k", steps=(step,))
    chosen = few([*tools, last, weather], asked("And on Monday?", *turns), 2048)
    assert {last.name, weather.name} <= {tool.spec.name for tool in chosen}


def test_words_that_every_question_has_choose_no_tool() -> None:
    tools = [Made(f"tool_{number}", _text) for number in range(MAX_OFFERED)]
    common = Made("what_is_the", _text)
    assert few([*tools, common], asked("What is the matter with this?"), 2048) == tools


def test_what_is_cut_says_so() -> None:
    assert cut("short", 512) == "short"
    for long in ("ö" * 1000, "1,2.5\n20" * 125):
        text = cut(long, 512)
        assert text.endswith("of 1,000 characters are not shown; ask for a part]")
        assert tokens(text) < 512 // loop.RESULT_SHARE + 64
        kept = text.partition("\n[cut here")[0]
        assert tokens(long[: len(kept) + 1]) > 512 // loop.RESULT_SHARE >= tokens(kept), "as much as there is room for"


def test_an_exchange_that_does_not_fit_whole_is_given_without_its_calls() -> None:
    step = Step("", (Called("read_file", {"path": "a.md"}, "x" * 3000),))
    turns = [Turn("user", "Read", "k"), Turn("assistant", "Read.", "k", steps=(step,))]
    given = window("You are kind.", turns, "And?", 1024)
    assert [(message.role, message.text) for message in given[1:]] == [
        ("user", "Read"),
        ("assistant", "Read."),
        ("user", "And?"),
    ]


def test_a_machine_without_tools_has_none() -> None:
    box = NoTools()
    assert (box.offered(), box.find("read_file"), box.closed()) == ((), None, ())


async def test_what_looks_at_its_own_copy_is_called_again_once_that_has_changed(
    store: Database, model: OllamaModel, server: OllamaServer
) -> None:
    async def fails(path: str) -> str:
        raise NoSuchFile(path=path)

    tests, edit = Made("run_tests", _nothing), Made("edit_file", _text, Effect.OWN, takes=("path",))
    wrong = Made("remove_file", fails, Effect.OWN, takes=("path",))
    for call in (
        Calls("run_tests", {}), Calls("edit_file", {"path": "a"}), Calls("run_tests", {}), Calls("remove_file", {"path": "b"}),
        Calls("run_tests", {}), Calls("edit_file", {"path": "a"}),
    ):  # fmt: skip
        server.says(call)
    server.says("Done.")
    await ask(agent(store, model, tests, edit, wrong), "Mend it")
    assert len(tests.called) == 2, "what failed has changed nothing"
    assert len(edit.called) == 1
    assert [result.startswith("You called this already") for result in server.results] == [
        False, False, False, False, True, True,
    ]  # fmt: skip
