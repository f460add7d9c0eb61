"""Vectors are made behind everybody's back where there is a model for them, and find what a question's words do not say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import Nursery, SystemClock
from adapters.llm.openai import OpenAIModel, ServesNoModel
from adapters.llm.openai_wire import MOST_MEANT
from bot.parts.models import brains
from config.settings import OpenAI
from core.agent.memory import WHOLE
from core.agent.model import ModelFailed, ModelGarbled, ModelMissing, ModelUnreachable
from core.agent.notebook import Notebook
from core.agent.vectors import LOOK_MS, PART, REST_MS, Vectors, near
from core.chat import Caller, Role
from core.tokens import Identities
from tests.fakes import FakeClock, FakeIds
from tests.ollama_server import Fault, vector
from tests.openai_server import OpenAIServer
from tests.scenario.bot import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from adapters.llm.ollama import OllamaModel
    from adapters.sqlite.writer import Database
    from core.errors import HubError
    from tests.ollama_server import OllamaServer

ANN = Caller("telegram:5", Role.MEMBER)
ALIKE = (("puppy", "dog", "hound"), ("car", "automobile"), ("rain", "weather"))


@dataclass
class Concepts:
    """`Embedder` that knows a few synonyms."""

    model: str | None = "concepts"
    fails: HubError | None = None
    hangs: bool = False
    parts: int | None = None
    asked: list[list[str]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def embedder(self) -> str | None:
        return self.model

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        if model != self.model:
            await self.gone.wait()
            raise ModelMissing(model=model)
        self.asked.append(list(texts))
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
        if self.parts is not None:
            self.parts -= 1
            if self.parts < 0:
                self.parts = None
                raise ModelUnreachable(url="there")
        return [[0.1, *(float(any(word in text for word in group)) for group in ALIKE)] for text in texts]


@pytest.fixture
def concepts() -> Concepts:
    return Concepts()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def vectors(store: Database, concepts: Concepts, clock: FakeClock) -> AsyncIterator[Vectors]:
    async with Nursery() as nursery:
        yield Vectors(store, concepts, nursery, clock)


@pytest.fixture
async def notebook(store: Database, vectors: Vectors) -> Notebook:
    await store.write(lambda tx: tx.tokens.give(ANN.actor, Role.MEMBER, "", tx.now))
    return Notebook(store, Identities(store, FakeIds("x"), owners=(), reserved=lambda _: False), vectors, window=8192)


async def remember(notebook: Notebook, *texts: str) -> None:
    for text in texts:
        await notebook.remember(ANN, ANN.actor, text, f"key of {text}")


async def rested(vectors: Vectors) -> None:
    async with asyncio.timeout(10):
        await vectors.rested.wait()


async def test_a_question_finds_what_its_words_do_not_say(
    notebook: Notebook, vectors: Vectors, concepts: Concepts
) -> None:
    await remember(notebook, "my puppy is called Otto", *(f"room {number} is a library" for number in range(WHOLE)))
    await rested(vectors)
    assert "Otto" in (await notebook.notes(ANN, ANN.actor, "what does the hound like?")).text
    found = await notebook.search(ANN, ANN.actor, "hound", limit=10)
    assert [fact.text for fact in found.facts] == ["my puppy is called Otto"]
    both = await notebook.search(ANN, ANN.actor, "the hound of room 3", limit=10)
    assert {fact.text for fact in both.facts[:2]} == {"my puppy is called Otto", "room 3 is a library"}


async def test_without_a_model_for_it_nothing_is_asked_and_nothing_kept(
    notebook: Notebook, vectors: Vectors, concepts: Concepts, store: Database
) -> None:
    concepts.model = None
    await remember(notebook, "my puppy is called Otto")
    await rested(vectors)
    await notebook.search(ANN, ANN.actor, "hound", limit=10)
    assert concepts.asked == []
    assert not vectors.ready


async def test_where_nothing_is_remembered_nobody_is_asked(vectors: Vectors, concepts: Concepts) -> None:
    vectors.look()
    await rested(vectors)
    assert not vectors.ready
    assert await vectors.meaning("hound") is None


async def test_what_fails_is_left_for_later_and_a_question_is_answered_by_its_words(
    notebook: Notebook, vectors: Vectors, concepts: Concepts, clock: FakeClock
) -> None:
    concepts.fails = ModelUnreachable(url="there")
    await remember(notebook, *(f"puppy {number}" for number in range(WHOLE + 1)))
    await rested(vectors)
    before = len(concepts.asked)
    assert "puppy 3" in (await notebook.notes(ANN, ANN.actor, "puppy 3")).text
    assert len(concepts.asked) == before, "it rests"
    clock.advance(REST_MS)
    assert "puppy 3" in (await notebook.notes(ANN, ANN.actor, "puppy 3")).text
    await rested(vectors)
    assert len(concepts.asked) == before + 1
    concepts.fails = None
    vectors.look()
    await rested(vectors)
    clock.advance(REST_MS)
    assert (await notebook.notes(ANN, ANN.actor, "hound")).text.count("puppy") > 1


async def test_a_slow_model_holds_up_no_question(
    notebook: Notebook, vectors: Vectors, concepts: Concepts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember(notebook, *(f"puppy {number}" for number in range(WHOLE + 1)))
    await rested(vectors)
    monkeypatch.setattr("core.agent.vectors.ASK_SECONDS", 0.01)
    concepts.hangs = True
    assert "puppy 3" in (await notebook.notes(ANN, ANN.actor, "puppy 3")).text
    assert not vectors.ready


async def test_with_another_model_all_are_made_anew_part_by_part(
    notebook: Notebook, vectors: Vectors, concepts: Concepts
) -> None:
    concepts.model = None
    await remember(notebook, *(f"puppy {number}" for number in range(PART + 1)))
    await rested(vectors)
    concepts.model = "nomic-embed-text:latest"
    vectors.look()
    vectors.look()
    await rested(vectors)
    assert [len(texts) for texts in concepts.asked] == [PART, 1]
    assert concepts.asked[-1] == ["search_document: puppy 0"]
    concepts.model = "other"
    vectors.look()
    await rested(vectors)
    assert [len(texts) for texts in concepts.asked] == [PART, 1, PART, 1]
    await vectors.meaning("hound")
    assert concepts.asked[-1] == ["hound"]


async def test_another_model_is_noticed_though_nothing_new_is_remembered(
    notebook: Notebook, vectors: Vectors, concepts: Concepts, clock: FakeClock
) -> None:
    await remember(notebook, "my puppy is called Otto", *(f"room {number} is a library" for number in range(WHOLE)))
    await rested(vectors)
    vectors.look()
    await rested(vectors)
    asked = len(concepts.asked)
    concepts.model = "other"
    concepts.gone.set()
    await notebook.notes(ANN, ANN.actor, "hound")
    assert len(concepts.asked) == asked
    assert vectors.rested.is_set(), "not at each question"
    clock.advance(LOOK_MS)
    await notebook.notes(ANN, ANN.actor, "hound")
    await rested(vectors)
    assert len(concepts.asked[-1]) == WHOLE + 1, "all are made anew"
    assert "Otto" in (await notebook.notes(ANN, ANN.actor, "hound")).text
    concepts.model = None
    clock.advance(LOOK_MS)
    await notebook.search(ANN, ANN.actor, "hound", limit=10)
    await rested(vectors)
    assert not vectors.ready, "it was taken away"


async def test_a_question_that_the_former_model_leaves_open_is_no_fault_of_the_new(
    notebook: Notebook, vectors: Vectors, concepts: Concepts
) -> None:
    await remember(notebook, "my puppy is called Otto")
    await rested(vectors)

    async def changed() -> None:
        vectors.look()
        await rested(vectors)
        concepts.gone.set()

    concepts.model = "other"
    assert (await asyncio.gather(vectors.meaning("hound"), changed()))[0] is None
    assert vectors.ready


async def test_while_they_are_made_anew_facts_are_found_by_their_words_alone(
    notebook: Notebook, vectors: Vectors, concepts: Concepts, clock: FakeClock
) -> None:
    """Those that have a vector of the new model already are not the nearest of all."""
    await remember(notebook, "my puppy is called Otto", *(f"the hound sleeps in room {n}" for n in range(PART)))
    await rested(vectors)
    concepts.model, concepts.parts = "other", 1
    vectors.look()
    await rested(vectors)
    clock.advance(REST_MS)
    assert [len(texts) for texts in concepts.asked[-2:]] == [PART, 1], "the last part failed"
    found = await notebook.search(ANN, ANN.actor, "dog", limit=10)
    assert (await notebook.search(ANN, ANN.actor, "dog", limit=10)).facts == found.facts == []
    await rested(vectors)
    assert (await notebook.search(ANN, ANN.actor, "dog", limit=100)).facts[-1].text == "my puppy is called Otto"


def test_those_are_near_that_are_about_as_near_as_the_nearest() -> None:
    assert near([]) == []
    assert near([(1, 0.8), (2, 0.75), (3, 0.5)]) == [1, 2]
    assert near([(1, -0.1), (2, -0.2)]) == []


async def test_ollama_gives_vectors_by_its_models_for_that(model: OllamaModel, server: OllamaServer) -> None:
    assert await model.embedder() is None
    server.models = ["qwen3-embedding:0.6b", "bge-m3:latest", "llama3.2:latest", "embed-cloud"]
    server.families["bge-m3:latest"] = "bert"
    assert await model.models() == ["llama3.2:latest"]
    name = await model.embedder()
    assert name == "qwen3-embedding:0.6b@000000000000"
    first, second = await model.embed(name, ["tea and milk", "milk"])
    assert len(first) == len(second) > 10
    assert server.embedded == [["tea and milk", "milk"]]
    server.digests["qwen3-embedding:0.6b"] = "1" * 64
    assert await model.embedder() == "qwen3-embedding:0.6b@111111111111", "got anew, it is another"
    server.digests["qwen3-embedding:0.6b"] = ""
    assert await model.embedder() == "qwen3-embedding:0.6b"
    with pytest.raises(ModelGarbled, match="vectors that are none"):
        await model.embed(name, ["milk", ""])


async def test_other_servers_give_vectors_by_models_whose_names_say_so() -> None:
    async with (
        OpenAIServer.running(
            "qwen3:8b", "bge-reranker-v2", "text-embedding-nomic-embed-text-v1.5", "BAAI/bge-m3"
        ) as server,
        OpenAIModel(server.url, clock=SystemClock()) as model,
    ):
        assert await model.models() == ["qwen3:8b"]
        name = await model.embedder()
        assert name == "text-embedding-nomic-embed-text-v1.5"
        assert await model.embed(name, ["tea and milk", "milk"]) == [vector("tea and milk"), vector("milk")]
        with pytest.raises(ModelGarbled, match="vectors that are none"):
            await model.embed(name, ["milk", ""])
        with pytest.raises(ServesNoModel):
            await model.embed("gone", ["milk"])
        long = "milk " * 1000
        assert await model.embed(name, [long]) == [vector(long[:MOST_MEANT])], (
            "what is longer is refused by such servers"
        )
        chat = ["olmo2", "granite3", "e5x", "EmbeddedLLM/Mistral-7B-Merge-14-v0.2", "reranked/olmo2"]
        server.models = [*chat, "large-e5-base", "all-minilm"]
        assert await model.models() == chat
        assert await model.embedder() == "large-e5-base"
        server.models = ["olmo2"]
        assert await model.embedder() is None


async def test_of_two_servers_the_first_with_a_model_for_it_gives_vectors_and_none_stands_in(
    server: OllamaServer,
) -> None:
    found = settings(Path(), ollama=server.url)
    async with OpenAIServer.running("nomic-embed-text") as other:
        found = found.model_copy(update={"openai": OpenAI(url=other.url)})
        async with brains(found, SystemClock()) as brain:
            assert brain.embedder is not None
            assert await brain.embedder.embedder() == "nomic-embed-text"
            assert await brain.embedder.embed("nomic-embed-text", ["milk"]) == [vector("milk")]
            assert server.embedded == []
            server.models.append("qwen3-embedding:0.6b")
            assert await brain.embedder.embedder() == "qwen3-embedding:0.6b@000000000000"
            server.listing = Fault(500, "oops")
            with pytest.raises(ModelFailed):
                await brain.embedder.embedder()
