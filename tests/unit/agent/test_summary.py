"""When a conversation is summed up, what the model is given for it, and what a summary is worth: no more than what it is of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.clockwork import Nursery
from core.agent.agent import Assistant
from core.agent.memory import NO_NOTES
from core.agent.model import Bounds
from core.agent.prompt import tokens
from core.agent.session import Turn
from core.agent.summaries import MOST_WAITING, Summaries
from core.agent.summary import FULL, LEFT, MOST_TURNS, PART, Said, Summary, due, limit, made, noted, request
from tests.ollama_server import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapters.llm.ollama import OllamaModel
    from adapters.sqlite.unit_of_work import UnitOfWork
    from adapters.sqlite.writer import Database
    from tests.ollama_server import OllamaServer

WINDOW = 1024
ANN = "telegram:5"


def exchanges(*texts: str, speaker: str = ANN, tainted: bool = False) -> list[Said]:
    return [
        Said(2 * number + place, role, text, speaker, tainted)
        for number, text in enumerate(texts, 1)
        for place, role in enumerate(("user", "assistant"))
    ]


def test_what_fits_easily_is_not_summed_up() -> None:
    assert due([], WINDOW) == ()
    assert due(exchanges("hello", "and?"), WINDOW) == ()


def test_of_many_short_turns_the_newest_stay() -> None:
    said = exchanges(*["hi"] * (MOST_TURNS // 2 + 1))
    old = due(said, WINDOW)
    assert len(said) - len(old) == MOST_TURNS // 2


def test_no_answer_stays_without_its_question() -> None:
    text = "word " * (WINDOW // LEFT * 2 // 5)
    assert tokens(text) < WINDOW // LEFT < 2 * tokens(text), "only half of an exchange would stay"
    said = exchanges(text, text, text)
    assert due(said, WINDOW) == said


@given(st.lists(st.text(max_size=1500), max_size=60), st.sampled_from([512, 1024, 8192]))
def test_whole_exchanges_are_summed_up_until_the_rest_is_small(texts: list[str], window: int) -> None:
    said = exchanges(*texts)
    rounds = 0
    while old := due(said, window):
        assert len(old) % 2 == 0
        assert said[: len(old)] == list(old)
        assert len(request(None, old, window)[1].text) <= 2 * 3 * window // PART + 80 * len(old) + 200
        said = said[len(old) :]
        rounds += 1
        assert rounds <= len(texts)
    if rounds:
        assert sum(tokens(one.text) for one in said) <= window // FULL
        assert len(said) <= MOST_TURNS


def test_the_last_turns_stay_as_they_were_said() -> None:
    said = exchanges(*[f"turn {number} " * 12 for number in range(30)])
    old = due(said, WINDOW)
    assert 0 < len(old) < len(said)
    kept = said[len(old) :]
    assert not due([*kept], WINDOW) or sum(tokens(one.text) for one in kept) > WINDOW // LEFT


def test_the_model_is_given_the_old_part_as_data() -> None:
    before = Summary("They like tea.", 7)
    system, asked = request(before, exchanges("a <|im_end|> b", "x" * 5000), WINDOW)
    assert (system.role, asked.role) == ("system", "user")
    assert "from outside" in asked.text
    assert "Your summary so far: They like tea." in asked.text
    assert "Person: a   b" in asked.text
    assert "(…)" in asked.text
    assert len(asked.text) < 3 * WINDOW


def test_a_summary_is_of_whoever_spoke_and_as_trusted_as_what_it_is_of() -> None:
    clean = made(None, exchanges("tea"), " They like <s> tea. ")
    assert clean == Summary("They like   tea.", 3, ANN, tainted=False)
    assert made(clean, exchanges("more"), "x").speaker == ANN
    assert made(clean, exchanges("more", speaker="telegram:6"), "x").speaker == ""
    assert made(clean, exchanges("page", tainted=True), "x").tainted
    assert made(clean._replace(tainted=True), exchanges("more"), "x").tainted


def test_what_is_from_outside_or_of_others_is_given_as_such() -> None:
    summary = Summary("They like tea.", 3, ANN)
    assert noted(None, ANN) == NO_NOTES
    own = noted(summary, ANN)
    assert not own.outside
    assert "They like tea." in own.text
    for other in (noted(summary, "telegram:6"), noted(summary._replace(tainted=True), ANN)):
        assert other.outside
        assert "[from outside" in other.text


def test_a_summary_that_another_model_made_is_cut_for_a_smaller_one() -> None:
    summary = Summary("They like tea. " * 100, 3, ANN, tainted=True)
    cut = noted(summary, ANN, WINDOW)
    assert len(cut.text) < limit(WINDOW) + 300
    assert cut.text.endswith("[end of what is from outside]")
    assert len(noted(summary, ANN).text) > 1500


@pytest.fixture
async def summaries(store: Database, model: OllamaModel) -> AsyncIterator[Summaries]:
    async with Nursery() as nursery:
        yield Summaries(store, model, nursery, bounds=Bounds(window=WINDOW))


async def talked(store: Database, *texts: str, conversation: str = "c") -> None:
    def work(tx: UnitOfWork) -> None:
        for number, text in enumerate(texts):
            for role in ("user", "assistant"):
                tx.conversations.add(conversation, Turn(role, text, f"{conversation}{number}", ANN), 0)

    await store.write(work)


async def over(summaries: Summaries) -> None:
    async with asyncio.timeout(10):
        await summaries.rested.wait()


LONG = tuple(f"part {number} of what was said, in some more words than need be" for number in range(30))


async def test_an_old_part_is_summed_up_step_by_step(
    store: Database, server: OllamaServer, summaries: Summaries
) -> None:
    await talked(store, *LONG)
    server.says("The first ", "part.")
    server.says("Both parts.")
    summaries.look("c")
    await over(summaries)
    assert (await summaries.notes(ANN, "c")).text.endswith("Both parts.")
    assert "Your summary so far: The first part." in server.last["messages"][1]["content"]
    assert len(server.asked) == 2
    summaries.look("c")
    await over(summaries)
    assert len(server.asked) == 2, "the rest fits easily"
    await store.write(lambda tx: tx.conversations.renew("c"))
    assert await summaries.notes(ANN, "c") == NO_NOTES, "what was before /new is told to nobody"


async def test_what_fails_is_tried_again_after_the_next_turn(
    store: Database, server: OllamaServer, summaries: Summaries
) -> None:
    await talked(store, *LONG)
    server.says(Fault(500, "no room"))
    summaries.look("c")
    await over(summaries)
    assert await summaries.notes(ANN, "c") == NO_NOTES
    server.says("")
    summaries.look("c")
    await over(summaries)
    assert await summaries.notes(ANN, "c") == NO_NOTES, "a model that says nothing sums nothing up"
    server.says("In short.")
    server.says("In short.")
    summaries.look("c")
    await over(summaries)
    assert (await summaries.notes(ANN, "c")).text.endswith("In short.")


async def test_a_model_that_counts_more_tokens_sums_up_less_at_once(
    store: Database, server: OllamaServer, summaries: Summaries
) -> None:
    await talked(store, *LONG)
    server.bytes_per_token = 1.5
    for _ in LONG:
        server.says("In short.")
    summaries.look("c")
    await over(summaries)
    assert (await summaries.notes(ANN, "c")).text.endswith("In short.")
    asked = ["".join(one["content"] for one in request["messages"]) for request in server.asked]
    taken = [one for one in asked if len(one) <= WINDOW * server.bytes_per_token]
    assert all(any(f"part {number} of" in one for one in taken) for number in range(25)), "nothing of it is skipped"
    assert 1 < len(taken) < len(asked) < len(LONG)


async def test_what_cannot_be_summed_up_in_any_part_is_given_up(
    store: Database, server: OllamaServer, summaries: Summaries
) -> None:
    await talked(store, *LONG)
    server.bytes_per_token = 0.001
    summaries.look("c")
    await over(summaries)
    assert await summaries.notes(ANN, "c") == NO_NOTES
    assert 1 < len(server.asked) < 10


async def test_it_is_time_by_the_window_of_the_model_itself(
    store: Database, server: OllamaServer, model: OllamaModel
) -> None:
    await talked(store, *LONG[:14])
    async with Nursery() as nursery:
        summaries = Summaries(store, model, nursery, bounds=Bounds(window=32 * WINDOW))
        for name, window in (("llama3.2:latest", 32 * WINDOW), ("qwen3:8b", WINDOW)):
            server.window = window
            await Assistant(store, model).choose("c", name)
            summaries.look("c")
            await over(summaries)
    assert {request["model"] for request in server.asked} == {"qwen3:8b"}, "the other holds it all"


async def test_a_thought_is_no_summary(store: Database, server: OllamaServer, summaries: Summaries) -> None:
    await talked(store, *LONG)
    server.says("<think>They spoke of parts.</think>", "The parts.")
    server.says("They spoke of parts.", "\n</think>\n", "\nBoth parts.")
    summaries.look("c")
    await over(summaries)
    assert "so far: The parts." in server.last["messages"][1]["content"]
    assert (await summaries.notes(ANN, "c")).text.endswith(":\nBoth parts.")


async def test_an_endless_summary_is_cut(store: Database, server: OllamaServer, summaries: Summaries) -> None:
    await talked(store, *LONG)
    for _ in range(2):
        server.says(*["on and on "] * 200)
    summaries.look("c")
    await over(summaries)
    assert len((await summaries.notes(ANN, "c")).text) < limit(WINDOW) + 200


async def test_begun_afresh_while_it_is_made_it_is_nothing(
    store: Database, server: OllamaServer, summaries: Summaries
) -> None:
    await talked(store, *LONG)
    gate = asyncio.Event()
    server.says("Old ", gate, "story.")
    summaries.look("c")
    async with asyncio.timeout(10):
        await server.begun.wait()
    await store.write(lambda tx: tx.conversations.renew("c"))
    gate.set()
    await over(summaries)
    assert await summaries.notes(ANN, "c") == NO_NOTES
    assert await store.read(lambda tx: tx._connection.execute("SELECT * FROM summary").fetchall()) == []


async def test_no_more_wait_than_are_taken_and_one_that_takes_too_long_is_left(
    store: Database, server: OllamaServer, summaries: Summaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.agent.summaries.SECONDS", 0.01)
    await talked(store, *LONG)
    server.says(asyncio.Event())
    for number in range(MOST_WAITING):
        summaries.look(f"c{number}")
    summaries.look("c")
    await over(summaries)
    assert server.asked == [], "it was one too many"
    summaries.look("c")
    await over(summaries)
    assert await summaries.notes(ANN, "c") == NO_NOTES
