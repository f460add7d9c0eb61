"""Several model servers as one: who is asked, who stands in, and what is said of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.agent.breaker import FIRST_PAUSE, LIMIT
from core.agent.cascade import Backend, Cascade, StoodIn, alone, find, listening
from core.agent.model import (
    Card,
    ModelBrokeOff,
    ModelCut,
    ModelFailed,
    ModelMissing,
    ModelOverfull,
    ModelRepeats,
    ModelUnreachable,
    NoModelInstalled,
    ToolCall,
    UnknownModel,
)
from core.errors import HubError
from tests.depth import depth
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from core.agent.model import ChatMessage, ToolSpec, Unsaid

DOWN = ModelUnreachable(url="http://first")


class Fake:
    """A model that says what it is told to, or raises it."""

    def __init__(self, *models: str) -> None:
        self.listed: list[str] | Exception = [*models]
        self.says: list[str | ToolCall | HubError | asyncio.Event] = ["hello"]
        self.asked: list[str | None] = []
        self.why: str | None = None

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str | None, num_ctx: int, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[str | ToolCall, None]:
        self.asked.append(model)
        for one in self.says:
            if isinstance(one, asyncio.Event):
                await one.wait()
            elif isinstance(one, (str, ToolCall)):
                yield one
            else:
                raise one

    async def models(self) -> list[str]:
        if not isinstance(self.listed, list):
            raise self.listed
        return self.listed

    async def default(self) -> str:
        return (await self.models())[0]

    async def card(self, model: str | None) -> Card:
        return Card(len(model or "default"), tools=True)

    async def check(self) -> str | None:
        return self.why


class Set:
    """A cascade of two, with its clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.first, self.second = Fake("llama", "qwen"), Fake("big")
        backends = [Backend("ollama", "http://first", self.first), Backend("openai", "http://second", self.second)]
        self.cascade = Cascade(backends, self.clock)

    async def heard(self, model: str | None = None) -> list[str | ToolCall | Unsaid]:
        async with aclosing(self.cascade.chat([], model=model, num_ctx=512)) as pieces:
            return [piece async for piece in pieces]

    async def fail(self, times: int = LIMIT) -> None:
        """The first fails, so often."""
        self.first.says = [ModelFailed(why="no")]
        for _ in range(times):
            await self.heard()


@pytest.fixture
def both() -> Set:
    return Set()


async def test_the_first_is_asked_and_nothing_is_said_of_it(both: Set) -> None:
    with listening() as others:
        assert await both.heard() == ["hello"]
    assert (both.first.asked, both.second.asked, others) == (["llama"], [], [])


@pytest.mark.parametrize("error", [DOWN, ModelFailed(why="no"), ModelMissing(model="llama"), NoModelInstalled(url="x")])
async def test_where_it_cannot_answer_the_next_does_and_that_is_told(both: Set, error: HubError) -> None:
    both.first.says = [error]
    with listening() as others:
        assert await both.heard() == ["hello"]
    assert others == [StoodIn("openai/big", str(error))]
    assert both.second.asked == ["big"]
    assert await both.heard() == ["hello"], "and where nobody listens"


async def test_a_model_that_thinks_the_same_for_ever_is_no_fault_of_its_server(both: Set) -> None:
    both.first.says = [ModelRepeats()]
    for _ in range(LIMIT + 1):
        assert await both.heard() == ["hello"]
    assert len(both.first.asked) == LIMIT + 1, "it is asked first still"


async def test_for_a_model_that_is_asked_alone_nobody_stands_in(both: Set) -> None:
    await both.fail()
    both.first.says, both.first.asked, both.second.asked = [ModelFailed(why="no")], [], []
    with alone("qwen"):
        with pytest.raises(ModelFailed):
            await both.heard("qwen")
        assert (both.first.asked, both.second.asked) == (["qwen"], [])
        assert (await both.cascade.card("qwen")).window == len("qwen"), "that one's, though its server fails"
        assert await both.heard("openai/big") == ["hello"]
        assert await both.heard() == ["hello"], "for any other somebody does"
    assert await both.heard("qwen") == ["hello"]


async def test_a_model_is_looked_for_at_its_own_server_before_others_are_waited_for(both: Set) -> None:
    both.second.listed = AssertionError("it was asked")
    assert await find(both.cascade, "qwen") == "qwen"
    both.second.listed = ["big:latest"]
    both.first.listed = AssertionError("it was asked")
    assert await find(both.cascade, "openai/big") == "openai/big:latest"
    both.first.listed = DOWN
    with pytest.raises(UnknownModel, match="Choose one of openai/big:latest, or"):
        await find(both.cascade, "qwen")
    both.second.listed = DOWN
    with pytest.raises(ModelUnreachable):
        await find(both.cascade, "qwen")


async def test_answers_that_fill_the_window_are_no_failures_of_their_server(both: Set) -> None:
    both.first.says = ["Hel", ModelCut()]
    for _ in range(LIMIT + 1):
        with pytest.raises(ModelCut):
            await both.heard()
    assert both.second.asked == []


@pytest.mark.parametrize("begun", ["Hel", ToolCall("add", {})])
@pytest.mark.parametrize("error", [ModelBrokeOff(), ModelMissing(model="llama")])
async def test_nobody_is_handed_over_in_the_middle_of_an_answer(
    both: Set, begun: str | ToolCall, error: HubError
) -> None:
    both.first.says = [begun, error]
    with pytest.raises(type(error)):
        await both.heard()
    assert both.second.asked == []


async def test_what_is_wrong_with_the_question_is_wrong_everywhere(both: Set) -> None:
    both.first.says = [ModelOverfull(why="much")]
    for _ in range(LIMIT + 1):
        with pytest.raises(ModelOverfull):
            await both.heard()
    assert both.second.asked == []


async def test_with_nobody_to_answer_the_most_telling_reason_is_given(both: Set) -> None:
    both.first.says, both.second.says = [DOWN], [ModelFailed(why="much")]
    with pytest.raises(ModelFailed, match="much"):
        await both.heard()
    both.second.says = [ModelUnreachable(url="http://second")]
    with pytest.raises(ModelUnreachable, match="http://first"):
        await both.heard()


async def test_a_chosen_model_is_asked_where_it_is(both: Set) -> None:
    assert await both.cascade.models() == ["llama", "qwen", "openai/big"]
    await both.heard("qwen")
    await both.heard("openai/big")
    assert (both.first.asked, both.second.asked) == (["qwen"], ["big"])
    assert await both.cascade.card("qwen") == Card(4, tools=True)
    assert await both.cascade.card("openai/big") == Card(3, tools=True)
    both.second.says = [ModelFailed(why="no")]
    with listening() as others:
        assert await both.heard("openai/big") == ["hello"]
    assert both.first.asked[-1] == "llama", "another server has its own model"
    assert [one.model for one in others] == ["llama"]


async def test_one_that_failed_often_is_asked_last_and_recovers_by_itself(both: Set) -> None:
    await both.fail()
    with listening() as others:
        assert await both.heard() == ["hello"]
        assert others == [], "it is the hub's own meanwhile, as /model says"
        assert await both.heard("qwen") == ["hello"]
    assert len(both.first.asked) == LIMIT
    assert "could not answer" in others[0].why
    assert await both.cascade.default() == "openai/big"
    assert await both.cascade.card(None) == Card(len("default"), tools=True)
    (down, up) = await both.cascade.standings(listed=True)
    assert "failed 3 times in a row" in down.why
    assert (down.models, up.models, up.why) == ((), ("openai/big",), "")
    both.first.says = ["back"]
    both.clock.advance(FIRST_PAUSE)
    assert await both.heard() == ["back"]
    assert [one.why for one in await both.cascade.standings()] == ["", ""]


async def test_with_all_of_them_failing_all_are_still_asked(both: Set) -> None:
    both.second.says = [ModelFailed(why="no")]
    both.first.says = [ModelFailed(why="no")]
    for _ in range(LIMIT):
        with pytest.raises(ModelFailed):
            await both.heard()
    both.second.says = ["again"]
    assert await both.heard() == ["again"]


async def test_one_question_tries_it_and_one_that_is_stopped_shows_nothing(both: Set) -> None:
    await both.fail()
    both.clock.advance(FIRST_PAUSE)
    gate = asyncio.Event()
    both.first.says = [gate, "back"]
    async with asyncio.TaskGroup() as group:
        trial = group.create_task(both.heard())
        await asyncio.wait_for(_until(lambda: len(both.first.asked) == LIMIT + 1), 5)
        assert await both.heard() == ["hello"], "the others do not wait for it"
        trial.cancel()
    gate.set()
    assert await both.heard() == ["back"]


SCRIPTS = st.lists(
    st.sampled_from(["a", "b", ModelFailed(why="no"), ModelMissing(model="x"), ModelUnreachable(url="http://x"), ModelBrokeOff()]),
    max_size=3,
)  # fmt: skip


@given(
    st.lists(
        st.tuples(SCRIPTS, SCRIPTS, st.sampled_from([None, "qwen", "openai/big"]), st.integers(0, 20_000)), max_size=12
    )
)
@settings(max_examples=depth(20, 400), deadline=None)
async def test_an_answer_is_one_servers_alone_and_there_is_one_if_any_can_give_it(
    turns: list[tuple[list[str | ToolCall | HubError | asyncio.Event], list[Any], str | None, int]],
) -> None:
    both = Set()
    for first, second, model, pause in turns:
        both.first.says, both.second.says = first, second
        both.clock.advance(pause)
        said: list[str | ToolCall | Unsaid] = []
        error: HubError | None = None
        try:
            async with aclosing(both.cascade.chat([], model=model, num_ctx=512)) as pieces:
                async for piece in pieces:
                    said.append(piece)  # noqa: PERF401 - what came before an error stays
        except HubError as raised:
            error = raised
        whole = [script for script in (first, second) if not any(isinstance(one, HubError) for one in script)]
        begun = [script for script in (first, second) if script and isinstance(script[0], str)]
        if error is None:
            assert said in whole
        elif said:
            assert any([*said, error] == script[: len(said) + 1] for script in begun)
        else:
            assert not whole, "somebody could have answered"


async def _until(true: object) -> None:
    assert callable(true)
    while not true():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future


async def test_a_list_is_of_those_that_can_be_asked(both: Set) -> None:
    both.first.listed = DOWN
    both.first.why = str(DOWN)
    assert await both.cascade.models() == ["openai/big"]
    assert await both.cascade.default() == "openai/big"
    assert await both.cascade.check() is None
    both.second.why = "also"
    both.second.listed = NoModelInstalled(url="x")
    assert await both.cascade.check() == str(DOWN)
    for ask in (both.cascade.models, both.cascade.default):
        with pytest.raises(ModelUnreachable):
            await ask()
    both.second.why = None
    (_, second) = await both.cascade.standings(listed=True)
    assert "no chat model" in second.why
