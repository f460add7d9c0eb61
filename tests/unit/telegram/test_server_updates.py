"""The fake Telegram's updates, seen through the real `telegram.Bot`: who hears what, what comes again, and how it fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from telegram.error import Conflict, InvalidToken, NetworkError, RetryAfter, TimedOut

if TYPE_CHECKING:
    from telegram import Bot

    from tests.telegram_objects import Chat, Message
    from tests.telegram_server import TelegramServer
    from tests.unit.telegram.conftest import MakeBot

ANN = 11
GROUP = -1001111111111


@pytest.fixture
def ann(server: TelegramServer) -> Chat:
    return server.private(ANN, "Ann", "ann")


@pytest.fixture
def group(server: TelegramServer, ann: Chat) -> Chat:
    return server.group(GROUP, "Group", members=[ANN])


async def test_an_update_comes_until_it_is_acknowledged(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    ids = [server.say(ann, ANN, f"{n}").update_id for n in range(4)]
    assert ids == list(range(ids[0], ids[0] + 4))
    assert [update.update_id for update in await bot.get_updates(limit=3)] == ids[:3]
    assert [update.update_id for update in await bot.get_updates()] == ids
    assert [update.update_id for update in await bot.get_updates(offset=ids[2])] == ids[2:]
    assert [update.update_id for update in await bot.get_updates(offset=0)] == ids[2:]
    assert [update.update_id for update in await bot.get_updates(offset=ids[3] + 99)] == ids[2:]
    assert [update.update_id for update in await bot.get_updates(offset=-1)] == ids[3:]
    assert await bot.get_updates(offset=ids[3] + 1) == ()
    assert not server.queue


async def test_at_most_a_hundred_come_at_once(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    for n in range(101):
        server.say(ann, ANN, f"{n}")
    assert len(await bot.get_updates(limit=100)) == 100


async def test_a_waiting_poll_is_answered_at_once(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(bot.get_updates(timeout=30))
        await server.until(lambda: server.polls)
        server.say(ann, ANN, "now")
    assert len(poll.result()) == 1


async def test_a_poll_without_news_ends_empty(server: TelegramServer, bot: Bot) -> None:
    server.limits.poll = 0.01
    assert await bot.get_updates(timeout=1) == ()


async def test_of_two_pollers_the_older_is_ended(server: TelegramServer, bot: Bot, another: MakeBot, ann: Chat) -> None:
    async with another() as second, asyncio.TaskGroup() as tasks:

        async def ended() -> None:
            with pytest.raises(Conflict, match=r"(?i)terminated by other getUpdates request"):
                await bot.get_updates(timeout=30)
            server.say(ann, ANN, "hello")

        tasks.create_task(ended())
        await server.until(lambda: server.polls)
        poll = tasks.create_task(second.get_updates(timeout=30))
    assert len(poll.result()) == 1


async def test_a_poller_that_left_is_forgotten(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(bot.get_updates(timeout=30))
        await server.until(lambda: server.polls)
        poll.cancel()
    said = server.say(ann, ANN, "still there")
    assert [update.update_id for update in await bot.get_updates(timeout=5)] == [said.update_id]


async def test_a_webhook_and_polls_exclude_each_other(server: TelegramServer, bot: Bot) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def ended() -> None:
            with pytest.raises(Conflict, match=r"(?i)terminated by setWebhook request"):
                await bot.get_updates(timeout=30)

        tasks.create_task(ended())
        await server.until(lambda: server.polls)
        await bot.set_webhook("https://example.org/x")
    assert (await bot.get_webhook_info()).url == "https://example.org/x"
    with pytest.raises(Conflict, match=r"(?i)can't use getUpdates method while webhook is active"):
        await bot.get_updates()
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == ()


async def test_the_bot_names_the_kinds_it_wants(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    server.push("chat_member", {"x": 1})
    await bot.get_updates(allowed_updates=["message"])
    said = server.say(ann, ANN, "one")
    server.edit(said, "two")
    server.block(ann)
    assert [update.message is not None for update in await bot.get_updates()] == [True]


def _heard(message: Message) -> bool:
    return message.update_id > 0


async def test_privacy_mode_keeps_from_the_bot_what_is_not_for_it(
    server: TelegramServer, bot: Bot, group: Chat
) -> None:
    rival = server.user(77, "Rival", "rival_bot", is_bot=True)
    own = await bot.send_message(GROUP, "Yes?")
    assert not _heard(server.say(group, ANN, "hello all"))
    assert not _heard(server.say(group, ANN, "see /help"))
    assert not _heard(server.say(group, ANN, "/help@rival_bot"))
    assert not _heard(server.say(group, ANN, "me@timmy_bot"))
    assert _heard(server.say(group, ANN, "/help"))
    assert _heard(server.say(group, ANN, "hey @Timmy_Bot"))
    assert _heard(server.say(group, ANN, "yes", reply_to=own.message_id))
    assert _heard(server.say(group, ANN, "x", via_bot=True))
    assert _heard(server.service(group, ANN, new_chat_title="Group"))
    assert _heard(server.anonymous_admin(group, "/help@timmy_bot"))
    assert not _heard(server.say(group, rival, "/help@timmy_bot"))
    assert not _heard(server.say(group, ANN, "/help"))
    assert _heard(server.say(group, ANN, "/help@timmy_bot"))
    server.privacy = False
    assert _heard(server.say(group, ANN, "hello all"))
    assert all(update.message for update in await bot.get_updates())


async def test_topics(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    forum = server.group(GROUP, "Forum", forum=True, members=[ANN])
    thread = server.topic(forum, "Work")
    server.say(forum, ANN, "/in_topic", thread=thread)
    server.say(forum, ANN, "/in_general")
    opened, inside, outside = (update.message for update in await bot.get_updates())
    assert opened is not None
    assert opened.forum_topic_created is not None
    assert inside is not None
    assert (inside.message_thread_id, inside.is_topic_message) == (thread, True)
    assert inside.reply_to_message is not None, "a message in a topic replies to its opening"
    assert outside is not None
    assert (outside.message_thread_id, outside.is_topic_message) == (None, None)
    sent = await bot.send_message(GROUP, "x", message_thread_id=thread)
    assert (sent.message_thread_id, server.last(forum).thread) == (thread, thread)
    await bot.send_chat_action(GROUP, "typing", message_thread_id=1)
    assert server.actions(forum) == ["typing"]


async def test_every_kind_of_message_is_one_the_library_reads(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    channel = server.channel(-1002222222222, "News")
    said = server.say(ann, ANN, "x @ann", quote="@ann", reply_to=server.say(ann, ANN, "hi @ann"))
    server.edit(said, "y")
    for message in (
        server.sticker(ann, ANN),
        server.location(ann, ANN),
        server.dice(ann, ANN),
        server.contact(ann, ANN),
    ):
        assert message.update_id
    server.voice(ann, ANN, b"OggS")
    server.photo(ann, ANN, b"\xff\xd8\xff", "one", album="7")
    server.photo(ann, ANN, b"\xff\xd8\xff", album="7")
    server.say(ann, server.user(5, ""), "nameless")
    server.channel_post(channel, "News!")
    server.block(ann)
    updates = await bot.get_updates()
    assert len(updates) == 13
    assert updates[1].message is not None
    assert updates[1].message.quote is not None
    assert updates[1].message.quote.position == 3
    assert updates[2].edited_message is not None
    assert updates[-2].channel_post is not None
    assert updates[-1].my_chat_member is not None


async def test_a_flood_wait_is_for_one_chat(server: TelegramServer, bot: Bot, ann: Chat, group: Chat) -> None:
    server.flood(ANN, 30, times=1)
    with pytest.raises(RetryAfter) as wait:
        await bot.send_message(ANN, "x")
    assert wait.value.retry_after == timedelta(seconds=30)
    await bot.send_message(ANN, "x")
    server.flood(ANN, 1000)
    await bot.send_message(GROUP, "x")
    for _ in range(2):
        with pytest.raises(RetryAfter):
            await bot.send_message(ANN, "x")
    server.calm(ANN)
    await bot.send_message(ANN, "x")
    assert [call.status for call in server.calls if call.chat_id == ANN] == [429, 200, 429, 429, 200]


async def test_a_server_that_is_down(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    server.down(times=1)
    with pytest.raises(NetworkError, match="Bad Gateway"):
        await bot.get_updates()
    await bot.get_updates()
    server.down(500)
    with pytest.raises(NetworkError, match="Internal Server Error"):
        await bot.send_message(ANN, "x")
    server.up()
    await bot.send_message(ANN, "x")
    await server.stop()
    with pytest.raises(NetworkError):
        await bot.send_message(ANN, "x")
    await server.start()
    await bot.send_message(ANN, "x")
    assert len(server.messages(ann)) == 2


async def test_a_lost_reply_has_had_its_effect(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    server.drop_reply("sendMessage")
    with pytest.raises(NetworkError):
        await bot.send_message(ANN, "x")
    assert [call.status for call in server.calls if call.method == "sendMessage"] == [0]
    assert len(server.messages(ann)) == 1
    server.drop_request("sendMessage")
    with pytest.raises(NetworkError):
        await bot.send_message(ANN, "x")
    assert len(server.messages(ann)) == 1


async def test_a_stalled_poll_is_never_answered(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    server.stall()
    server.say(ann, ANN, "x")
    with pytest.raises(TimedOut):
        await bot.get_updates(read_timeout=0.05)
    await bot.send_message(ANN, "sending is well")
    server.flow()
    assert len(await bot.get_updates(timeout=5)) == 1


async def test_a_method_can_be_held(server: TelegramServer, bot: Bot, ann: Chat) -> None:
    server.hold("sendMessage")
    async with asyncio.TaskGroup() as tasks:
        sent = tasks.create_task(bot.send_message(ANN, "x"))
        await server.until(lambda: server.messages(ann))
        assert not sent.done()
        server.release("sendMessage")


async def test_a_malformed_update_is_passed_on(server: TelegramServer, bot: Bot) -> None:
    number = server.malformed({"message": {"message_id": 1}})
    with pytest.raises(KeyError):
        await bot.get_updates()
    assert await bot.get_updates(offset=number + 1) == ()


async def test_a_revoked_token_ends_a_poll(server: TelegramServer, bot: Bot) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def ended() -> None:
            with pytest.raises(InvalidToken):
                await bot.get_updates(timeout=30)

        tasks.create_task(ended())
        await server.until(lambda: server.polls)
        server.revoke()


async def test_waiting_for_what_never_comes_ends(server: TelegramServer) -> None:
    with pytest.raises(TimeoutError):
        await server.until(lambda: False, timeout=0.01)
