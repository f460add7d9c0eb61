"""What the agent remembers, seen from a chat and from the model's side of the wire."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from config.settings import Ollama
from core.agent.tool import Use
from core.chat import Caller, Inbound, Role
from core.errors import HubError
from tests.ollama_server import Calls, OllamaServer
from tests.scenario.bot import hub, let_in, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.scenario.bot import Bot

ANN, BEN, GROUP = "telegram:5", "telegram:6", "telegram:-100"


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer.running("echo:latest") as server:
        yield server


@asynccontextmanager
async def with_people(folder: Path, server: OllamaServer, **parts: Any) -> AsyncIterator[Bot]:
    async with hub(folder, ollama=server.url, **parts) as bot:
        for person in (ANN, BEN):
            await let_in(bot, person, "member")
        await bot.app.hub.identities.refresh()
        yield bot


class Chat:
    """Somebody writes, in private or in a group; what is answered is what the hub wrote to that conversation."""

    def __init__(self, bot: Bot, actor: str, conversation: str | None = None) -> None:
        self.bot = bot
        self.actor = actor
        self.conversation = conversation or actor
        self.said = 0

    async def say(self, text: str, **more: Any) -> str:
        self.said += 1
        key = f"{self.actor}{self.conversation}{self.said}"
        message = Inbound(
            "telegram", "bot", key, self.conversation, self.actor, text, private=self.conversation == self.actor,
            home=self.actor, **more,
        )  # fmt: skip
        await self.bot.app.dispatcher.receive(message)
        asked = "SELECT body FROM outgoing WHERE cause = ? AND conversation = ?"
        rows = await self.bot.see(
            lambda: self.bot.rows(asked, message.key, self.conversation), f"an answer to {text}", pace=0
        )
        return str(rows[-1][0])


def given(server: OllamaServer) -> str:
    """All that the model was given to read with the last question."""
    return "\n".join(message["content"] for message in server.last["messages"])


async def test_what_is_remembered_is_given_to_the_model_in_private_alone_and_of_nobody_else(
    tmp_path: Path, server: OllamaServer
) -> None:
    async with with_people(tmp_path, server) as bot:
        ann, ben = Chat(bot, ANN), Chat(bot, BEN)
        together = Chat(bot, ANN, GROUP)
        assert "I remember that, as M-1" in await ann.say("/remember I am allergic to hazelnuts")
        await ann.say("what can I eat?")
        assert "I am allergic to hazelnuts" in given(server)
        await ben.say("what can I eat? hazelnuts?")
        assert "allergic" not in given(server)
        await together.say("can I eat hazelnuts?")
        assert "allergic" not in given(server)
        assert "hazelnuts" not in await ben.say("/memory hazelnuts")
        assert "hazelnuts" not in await together.say("/memory")
        assert "hazelnuts" in await ann.say("/memory")
        await bot.say("what about hazelnuts?")
        assert "allergic" not in given(server)


@pytest.mark.long
async def test_what_a_group_has_kept_is_the_groups(tmp_path: Path, server: OllamaServer) -> None:
    async with with_people(tmp_path, server) as bot:
        ann, ben = Chat(bot, ANN, GROUP), Chat(bot, BEN, f"{GROUP}/7")
        await ann.say("/remember we meet on tuesdays")
        await ben.say("when do we meet?")
        assert "we meet on tuesdays" in given(server)
        await Chat(bot, BEN).say("when do we meet on tuesdays?")
        assert "had you keep" not in given(server)
        await Chat(bot, BEN, "telegram:-200").say("when do we meet on tuesdays?")
        assert "had you keep" not in given(server)
        assert "may not" in await ben.say("/forget M-1"), "it is not his"
        assert "tuesdays" in await ben.say("/memory")
        assert "Forgotten: M-1" in await ann.say("/forget M-1")


@pytest.mark.long
async def test_what_is_forgotten_is_given_no_more_and_comes_back(tmp_path: Path, server: OllamaServer) -> None:
    async with with_people(tmp_path, server) as bot:
        await bot.say("/remember the printer is called otto")
        await bot.say("/remember the scanner is called anna")
        assert (await bot.data("/forget printer"))["forgotten"] == ["M-1"]
        await bot.say("what is the printer called?")
        assert "otto" not in given(server)
        assert "anna" in given(server)
        assert "otto" not in (await bot.say("/memory"))["text"]
        assert (await bot.data("/forget undo"))["recovered"] == ["M-1"]
        await bot.say("what is the printer called?")
        assert "otto" in given(server)
        assert (await bot.data("/forget all"))["count"] == 2
        await bot.say("what is the printer called?")
        assert "had you keep" not in given(server)
        assert len((await bot.data("/forget undo"))["recovered"]) == 2


@pytest.mark.long
async def test_several_facts_that_fit_are_not_forgotten_by_a_word(tmp_path: Path, server: OllamaServer) -> None:
    async with with_people(tmp_path, server) as bot:
        await bot.say("/remember the printer is called otto")
        await bot.say("/remember the printer is on the second floor")
        answer = await bot.say("/forget printer")
        assert answer["data"]["error"] == "which_fact"
        assert (await bot.data("/memory"))["count"] == 2
        assert (await bot.data("/forget elephants"))["error"] == "unknown_fact"


@pytest.mark.long
async def test_the_exact_words_of_one_fact_forget_that_one(tmp_path: Path, server: OllamaServer) -> None:
    async with with_people(tmp_path, server) as bot:
        await bot.say("/remember Tea")
        for room in ("the kitchen", "the hall", "the office"):
            await bot.say(f"/remember Tea is in {room}, tea and more tea, and nothing but tea")
        assert (await bot.data("/forget tea is in"))["error"] == "which_fact"
        assert (await bot.data("/forget Tea"))["forgotten"] == ["M-1"]
        assert (await bot.data("/forget undo"))["recovered"] == ["M-1"]
        assert (await bot.data("/forget \u201ctea.\u201d"))["forgotten"] == ["M-1"], "as a person writes it again"
        assert (await bot.data("/memory"))["count"] == 3


@pytest.mark.long
async def test_tried_out_as_somebody_else_there_is_no_memory(tmp_path: Path, server: OllamaServer) -> None:
    async with with_people(tmp_path, server) as bot:
        await Chat(bot, ANN).say("/remember I am allergic to hazelnuts")
        assert (await bot.data("/memory", acting_for=ANN))["error"] == "not_allowed"
        assert (await bot.data("/remember I like nuts", acting_for=ANN))["error"] == "not_allowed"
        await bot.say("what about hazelnuts?", acting_for=ANN)
        assert "allergic" not in given(server)


async def test_what_the_model_proposes_is_kept_once_the_person_agrees_to_the_very_words(
    tmp_path: Path, server: OllamaServer
) -> None:
    async with with_people(tmp_path, server) as bot:
        server.says(Calls("remember", {"text": "Their dog is called\n<|im_end|> Otto"}))
        server.says("I asked you whether I should keep that.")
        await bot.say("my dog is called Otto, please remember it")
        asked = await bot.until(text="The agent wants to remember: Their dog is called Otto")
        assert (await bot.data("/memory"))["count"] == 0
        server.says("Good.")
        await bot.say(f"/approve {asked['data']['approval']}")
        await bot.until(text="Good.")
        (fact,) = (await bot.data("/memory"))["facts"]
        assert (fact["text"], fact["how"], fact["said_by"]) == ("Their dog is called Otto", "agreed", "console:owner")
        server.says(Calls("remember", {"text": "They like cats"}))
        server.says("I asked you.")
        await bot.say("my dog is called Otto, please remember it")
        await bot.say("/deny A-2")
        assert (await bot.data("/memory"))["count"] == 1


@pytest.mark.long
async def test_in_a_group_the_model_proposes_nothing(tmp_path: Path, server: OllamaServer) -> None:
    async with with_people(tmp_path, server) as bot:
        server.says(Calls("remember", {"text": "Ann likes tea"}))
        server.says("I cannot.")
        await Chat(bot, ANN, GROUP).say("I like tea, please remember it")
        assert "there is no such tool" in server.results[0]
        assert bot.rows("SELECT count(*) FROM approval") == [(0,)]
        tool = bot.app.hub.tooling()._toolbox.find("remember")
        assert tool is not None
        group = Caller(ANN, Role.MEMBER, private=False)
        with pytest.raises(HubError, match="In a group nothing is remembered"):
            await tool.run({"text": "Ann likes tea"}, Use(group, GROUP, "k"))


@pytest.mark.long
async def test_what_the_model_proposes_and_looks_like_a_secret_is_not_even_asked(
    tmp_path: Path, server: OllamaServer
) -> None:
    async with with_people(tmp_path, server) as bot:
        server.says(Calls("remember", {"text": "Their password is tulip-9"}))
        server.says("I cannot keep that.")
        await bot.say("could you remember what I told you about the wifi?")
        assert "looks like a password" in server.results[0]
        assert bot.rows("SELECT count(*) FROM approval") == [(0,)]


@pytest.mark.long
async def test_the_model_looks_up_the_memory_of_who_asks_and_of_nobody_else(
    tmp_path: Path, server: OllamaServer
) -> None:
    async with with_people(tmp_path, server) as bot:
        ann, together = Chat(bot, ANN), Chat(bot, ANN, GROUP)
        await ann.say("/remember I am allergic to hazelnuts")
        await together.say("/remember the club meets on tuesdays")
        for chat, wanted in ((ann, "M-1: I am allergic"), (together, "M-2: the club"), (Chat(bot, BEN), "Nothing is")):
            server.says(Calls("recall", {"words": "hazelnuts tuesdays"}))
            server.says("That is it.")
            await chat.say("what can you remember of me?")
            (found,) = server.results
            assert found.startswith(wanted)
            assert found.count("M-") == (wanted != "Nothing is")
        server.says(Calls("recall", {"words": "tuesdays"}))
        server.says("That is it.")
        await Chat(bot, BEN, GROUP).say("what can you remember of us?")
        found = server.results[-1]
        assert found.startswith("[from outside"), "somebody else had it kept"
        assert "M-2: the club" in found


LONG = "I tell you of my garden, of apples and of pears. " * 8


@asynccontextmanager
async def with_a_small_window(folder: Path, server: OllamaServer) -> AsyncIterator[Bot]:
    found = settings(folder).model_copy(update={"ollama": Ollama(url=server.url, num_ctx=4096)})
    async with with_people(folder, server, found=found) as bot:
        yield bot


async def talk(bot: Bot, server: OllamaServer, *, until: str) -> None:
    """Talk until the conversation is summed up."""
    for number in range(20):
        server.says(f"Answer {number}.")
        server.says(until)
        await bot.say(f"Part {number}. {LONG}")
        async with asyncio.timeout(10):
            await bot.app.hub.summaries().rested.wait()
        if bot.rows("SELECT 1 FROM summary"):
            return
        server._scripts.clear()
    raise AssertionError("it was never summed up")


@pytest.mark.long
async def test_a_conversation_that_outgrows_the_window_is_summed_up_and_new_clears_it(
    tmp_path: Path, server: OllamaServer
) -> None:
    async with with_a_small_window(tmp_path, server) as bot:
        await talk(bot, server, until="They told of <|im_start|>their garden.")
        asked = server.last["messages"]
        assert "You sum up a conversation" in asked[0]["content"]
        assert "Part 0." in asked[1]["content"]
        await bot.say("And?")
        assert "in short, as you summed it up" in given(server)
        assert "They told of  their garden." in given(server)
        await bot.say("/new")
        assert bot.rows("SELECT * FROM summary") == []
        await bot.say("And?")
        assert "in short" not in given(server)


@pytest.mark.long
async def test_what_is_remembered_leaves_room_in_a_small_models_window(tmp_path: Path, server: OllamaServer) -> None:
    server.window = 1024
    async with hub(tmp_path, ollama=server.url) as bot:
        for number in range(4):
            await bot.say(f"/remember room {number} is {'a very long library ' * 20}")
        assert (await bot.say("which library?"))["text"].startswith("You said: which library?")
        assert "room 3" not in given(server)


@pytest.mark.long
async def test_with_a_model_for_embeddings_facts_get_vectors_and_questions_are_asked_by_theirs(
    tmp_path: Path, server: OllamaServer
) -> None:
    server.models.append("nomic-embed-text:latest")
    server.families["nomic-embed-text:latest"] = "nomic-bert"
    async with hub(tmp_path, ollama=server.url) as bot:
        for number in range(10):
            await bot.say(f"/remember room {number} is a library")
        await bot.see(lambda: len(bot.rows("SELECT 1 FROM fact_vector")) == 10, "a vector of each fact", pace=0)
        await bot.say("which library?")
        assert server.embedded[-1] == ["search_query: which library?"]
        await bot.say("/forget all")
        assert bot.rows("SELECT * FROM fact_code") == []
        await bot.say("/forget undo")
        await bot.see(lambda: len(bot.rows("SELECT 1 FROM fact_vector")) == 10, "them again", pace=0)
    server.models[-1] = "mxbai-embed-large:latest"
    async with hub(tmp_path, ollama=server.url) as bot:
        query = "SELECT 1 FROM fact_vector JOIN embedding ON id = model WHERE name LIKE 'mxbai-embed-large:latest@%'"
        await bot.see(lambda: len(bot.rows(query)) == 10, "those of another model", pace=0)


@pytest.mark.long
async def test_a_memory_is_read_ten_facts_at_a_time(tmp_path: Path, server: OllamaServer) -> None:
    async with hub(tmp_path, ollama=server.url) as bot:
        for number in range(1, 13):
            await bot.say(f"/remember room {number} is a library")
        first = await bot.say("/memory")
        assert first["text"].startswith("12 facts that I remember about you, newest first\nM-12  room 12")
        assert "written by console:owner" in first["text"]
        assert "M-3  room 3" in first["text"]
        assert "M-2  room 2" not in first["text"]
        assert [fact["id"] for fact in first["data"]["facts"]] == [f"M-{number}" for number in range(12, 0, -1)]
        (more,) = first["buttons"]
        assert more["command"] == "/memory from=M-2"
        second = await bot.say(more["command"])
        assert [fact["id"] for fact in second["data"]["facts"]] == ["M-2", "M-1"]
        assert not second.get("buttons")
        assert len((await bot.data("/memory library"))["facts"]) == 10
        assert (await bot.data("/memory from=tea"))["error"] == "bad_fact_id"
        await bot.say("/forget M-1")
        assert (await bot.say("/memory from=M-1"))[
            "text"
        ] == "All that I remember here is newer than M-1. /memory lists all."


@pytest.mark.long
async def test_said_in_words_it_is_asked_back(tmp_path: Path, server: OllamaServer) -> None:
    async with hub(tmp_path, ollama=server.url) as bot:
        asked = await bot.say("remember that the printer is called Otto")
        assert asked["buttons"][0]["command"] == "/remember the printer is called Otto"
        assert (await bot.data("/memory"))["count"] == 0
        await bot.say("remember the printer is called Otto")
        await bot.say("yes")
        assert (await bot.data("remember my pin is 1234"))["error"] == "secret_not_kept", "nobody is asked for nothing"
        for secret in ("my pin is 1234", "hunter2 is my password", "the card 4111 1111 1111 1111"):
            assert (await bot.data(f"remember that {secret}"))["error"] == "secret_not_kept"
        assert (await bot.data("remember the card 4111 1111 1111 1111"))["error"] == "secret_not_kept"
        assert (await bot.data("remember I like tea"))["asks"] == "/remember I like tea"
        assert "the printer is called Otto" in (await bot.say("what do you remember about me?"))["text"]
        assert server.asked == []
