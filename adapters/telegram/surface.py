"""The Telegram surface: one poller, one sender for each conversation (the hub's), edits, buttons and files.

Updates are stored before Telegram may forget them: the next poll's offset confirms a batch once all of it is durable.
A message goes out in parts (texts of at most 4096 UTF-16 units, then files); each part that arrived is remembered, so
that a flood wait or a broken connection in between repeats none of them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from telegram import InputFile, LinkPreviewOptions, ReplyParameters, Update
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.ext import Defaults, ExtBot

from adapters import markup
from adapters.telegram import parts
from adapters.telegram.drafts import Drafts
from adapters.telegram.limiter import ChatLimiter, seconds
from adapters.telegram.menu import show_menus
from adapters.telegram.transport import AnswerTooLarge, NotReached, Transport
from adapters.telegram.updates import ALLOWED, SURFACE, Moved, number, place, read, stamped
from core.chat import NotFetched, NotSent, Undeliverable
from core.errors import Unavailable, UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from telegram import User

    from adapters.markup import Rich
    from adapters.telegram.menu import Menus
    from adapters.telegram.updates import Heard
    from core.chat import Attachment, Inbound, Outgoing, Reply
    from core.ports import Clock, Spawner
    from core.voice.hearing import Voice

log = logging.getLogger(__name__)

POLL_SECONDS = 25
BATCH = 100
RETRY_SECONDS = 3.0
CONFLICT_SECONDS = 10.0
ANSWER_SECONDS = 5.0
"""How long a pressed button may wait for its outcome before its spinner is ended without one."""

FETCH_BYTES = 20 * 2**20
"""What Telegram lets a bot fetch."""

HOOK_SECONDS = 30.0
"""Between two looks whether Telegram still sends."""

QUIET = Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True))
"""Telegram itself fetches what it shows a preview of: an address that a model put together would be visited unasked."""

_RECENT = 1000


class TokenRefused(Unavailable):
    """Telegram refuses the bot's token. Get it from @BotFather (/mybots, API Token) and set TIMMY_TELEGRAM_TOKEN."""


class Unreachable(Unavailable):
    """Telegram cannot be reached ({why}). It is tried again; what you send there arrives once it is back."""


class TooLargeToFetch(UserError):
    """{name} is larger than the {limit} MB that Telegram lets a bot fetch. Put it into the hub's workspace folder instead."""

    status = 413


class FileGone(UserError):
    """{name} could not be fetched from Telegram ({why}). Send it again."""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where Telegram sends updates by itself, and the secret that it says with each."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Telegram: the bot's token, the root of the Bot API server, and the groups that are listed.

    With a `hook`, Telegram sends updates there; without one they are asked for.
    """

    token: str
    root: str
    chats: frozenset[int]
    hook: Hook | None = None


class TelegramSurface:
    """See `core.chat.ChatAdapter`. `back` is told when messages can be sent (again), `moved` when a group has a new id."""

    name = SURFACE

    def __init__(  # noqa: PLR0913 - its ports
        self,
        access: Access,
        menus: Menus,
        *,
        clock: Clock,
        spawner: Spawner,
        back: Callable[[], Awaitable[None]],
        moved: Callable[[str, str], Awaitable[None]],
        moves: Mapping[str, str],
    ) -> None:
        self._access = access
        self._menus = menus
        self._clock = clock
        self._spawner = spawner
        self._back = back
        self._moved = moved
        self._moves = {int(old): int(new) for old, new in moves.items()}
        self._bot: ExtBot[None] | None = None
        self._drafts = Drafts(lambda: self._bot, clock, spawner)
        self._heard: OrderedDict[str, Heard] = OrderedDict()
        self._hooked: Callable[[dict[str, Any]], Awaitable[None]] | None = None
        self.heard_at: int | None = None

    advice: tuple[str, ...] = ()

    # In ----------------------------------------------------------------------------------------------------------

    async def run(self, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        """Listen until cancelled. Raises `TokenRefused` or `Unreachable` where it cannot begin."""
        self.heard_at = self.heard_at or self._clock.now()
        calls, polls = Transport(), Transport(connections=2)
        bot = Poller(
            self._access.token, f"{self._access.root}/bot", f"{self._access.root}/file/bot",
            request=calls, get_updates_request=polls, rate_limiter=ChatLimiter(self._clock), defaults=QUIET,
        )  # fmt: skip
        try:
            me = await _begin(bot, polls=self._access.hook is None)
            await show_menus(bot, self._menus)
            self._bot = bot
            await self._back()
            if self._access.hook is None:
                await self._poll(bot, me, receive)
            else:
                await self._await_updates(bot, self._access.hook, lambda raw: self._take(bot, me, [raw], receive))
        finally:
            self._bot = self._hooked = None
            try:  # one by one: the bot's own shutdown leaves what it had not quite begun, and a stop may come meanwhile
                await calls.shutdown()
            finally:
                await polls.shutdown()

    @property
    def hook(self) -> Hook | None:
        """Where Telegram sends updates, if it does."""
        return self._access.hook

    async def take(self, raw: dict[str, Any]) -> bool:
        """Make an update durable that Telegram sent by itself; false while the surface is not up."""
        if self._hooked is None:
            return False
        await self._hooked(raw)
        self.heard_at = self._clock.now()
        return True

    async def _await_updates(
        self, bot: Poller, hook: Hook, hooked: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Let Telegram send updates, and look now and then whether it does: nobody else tells of a hook that was taken away."""
        self._hooked = hooked
        while True:
            try:
                info = await bot.get_webhook_info()
                if info.url != hook.url:
                    await bot.set_webhook(
                        hook.url, secret_token=hook.secret, allowed_updates=list(ALLOWED), drop_pending_updates=False
                    )
                elif info.last_error_date and info.pending_update_count:
                    log.warning("Telegram cannot send to %s: %s", hook.url, info.last_error_message)
                else:
                    self.heard_at = self._clock.now()
            except InvalidToken:
                raise TokenRefused from None
            except TelegramError as error:
                log.info("a look at Telegram's webhook failed: %s", error.message)
            await self._clock.sleep(HOOK_SECONDS)

    async def _poll(self, bot: Poller, me: User, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        offset = wait = 0
        while True:  # the first poll waits for nothing: it shows at once whether the surface hears
            try:
                updates = await bot.updates(offset, wait)
            except InvalidToken:
                raise TokenRefused from None
            except Conflict as error:
                if "webhook" in error.message:  # somebody set one meanwhile: this hub polls
                    await bot.delete_webhook(drop_pending_updates=False)
                    continue
                log.warning(
                    "another program polls Telegram with this bot's token; taking over in %g s", CONFLICT_SECONDS
                )
                await self._clock.sleep(CONFLICT_SECONDS)
                continue
            except RetryAfter as error:
                await self._clock.sleep(seconds(error))
                continue
            except TelegramError as error:
                log.info("a poll of Telegram failed: %s", error.message)
                await self._clock.sleep(RETRY_SECONDS)
                continue
            self.heard_at, wait = self._clock.now(), POLL_SECONDS
            await self._take(bot, me, updates, receive)
            offset = max((update["update_id"] for update in updates), default=offset - 1) + 1

    async def _take(
        self, bot: Poller, me: User, updates: list[dict[str, Any]], receive: Callable[[Inbound], Awaitable[None]]
    ) -> None:
        """Make a batch durable, side by side; but what comes after a move is not read before the move is durable.

        A move says by which new id a listed group is known: without it what is said there would be nobody's to read.
        """
        taking: list[Awaitable[None]] = []
        for raw in updates:
            heard = self._read(bot, me, raw)
            if isinstance(heard, Moved):
                await asyncio.gather(*taking)
                taking = []
                await self._move(heard.old, heard.new)
            elif heard is not None:
                taking.append(self._keep(heard, receive))
        await asyncio.gather(*taking)

    def _read(self, bot: Poller, me: User, raw: dict[str, Any]) -> Heard | Moved | None:
        """What an update means; one that cannot be read is logged and passed over, for it would come again for ever."""
        try:
            return read(Update.de_json(raw, bot), me, self._listed())
        except Exception:
            log.exception("Telegram sent an update that cannot be read; it is passed over")
            return None

    async def _keep(self, heard: Heard, receive: Callable[[Inbound], Awaitable[None]]) -> None:
        self._remember(heard)
        await receive(heard.inbound)
        if heard.query is not None:
            self._spawner.spawn(self._end_spinner(heard), f"spinner {heard.query}")

    def _listed(self) -> frozenset[int]:
        return self._access.chats | {self._moves[chat] for chat in self._access.chats if chat in self._moves}

    def _remember(self, heard: Heard) -> None:
        self._heard[heard.inbound.key] = heard
        while len(self._heard) > _RECENT:
            self._heard.popitem(last=False)

    async def _end_spinner(self, heard: Heard) -> None:
        await self._clock.sleep(ANSWER_SECONDS)
        await self._answer_query(heard.inbound.key, "")

    async def fetch(self, attachment: Attachment) -> bytes:
        """See `ChatAdapter`."""
        if attachment.size > FETCH_BYTES:
            raise TooLargeToFetch(name=attachment.name, limit=FETCH_BYTES // 2**20)
        if self._bot is None:
            raise NotFetched(surface="Telegram", name=attachment.name, why="it is down")
        try:
            file = await self._bot.get_file(attachment.ref)
            return bytes(await file.download_as_bytearray())
        except (BadRequest, AnswerTooLarge) as error:
            if "too big" in error.message:
                raise TooLargeToFetch(name=attachment.name, limit=FETCH_BYTES // 2**20) from None
            raise FileGone(name=attachment.name, why=error.message) from None
        except (NetworkError, RetryAfter) as error:
            wait = seconds(error) if isinstance(error, RetryAfter) else 0.0
            raise NotFetched(surface="Telegram", name=attachment.name, why=error.message, wait=wait) from None
        except TelegramError as error:
            raise FileGone(name=attachment.name, why=error.message) from None

    # Out ---------------------------------------------------------------------------------------------------------

    async def send(self, message: Outgoing) -> tuple[str, ...] | None:
        """See `ChatAdapter`."""
        if self._bot is None:  # not None: what comes next in the conversation must not overtake this
            raise NotSent(surface=SURFACE, why="it is down", sent=message.sent)
        if message.cause is not None and await self._answered(message) and message.replaces is None:
            return (f"answer-{message.id}",)
        draft = await self._drafts.finish(message.cause)
        stands = message.replaces or draft
        sent = list(message.sent)
        try:
            for at, part in enumerate(self._parts(message)):
                if at < len(message.sent):
                    continue
                part = replace(part, again=message.lost or (message.again and at == len(message.sent)))  # noqa: PLW2901 - one more fact of it
                sent.append(await self._deliver(message, part, stands if at == 0 else None, tuple(sent)))
        except Undeliverable:
            self._drafts.drop(message.cause)
            raise
        self._drafts.drop(message.cause)
        return tuple(sent)

    async def speak(self, conversation: str, voice: Voice) -> None:
        """See `core.voice.hearing.Speaks`."""
        if self._bot is None:
            raise NotSent(surface=SURFACE, why="it is down")
        chat, thread = self._place(conversation)
        try:
            note = InputFile(voice.ogg, filename="answer.ogg")
            await self._bot.send_voice(chat, note, duration=math.ceil(voice.seconds), message_thread_id=thread)
        except TelegramError as error:
            raise Undeliverable(surface=SURFACE, why=error.message) from None

    async def edit(self, conversation: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]) -> None:
        """See `core.chat.Editor`."""
        chat, message = self._standing(conversation, sent[0])
        if self._bot is not None and message is not None:
            part = parts.Part(self._texts(reply)[0], parts.keyboard(reply.buttons, taps))
            try:
                await parts.edit(self._bot, chat, message, part)
            except TelegramError as error:
                log.debug("an edit was dropped: %s", error.message)

    async def relabel(self, conversation: str, sent: tuple[str, ...], reply: Reply, taps: tuple[str, ...]) -> None:
        """See `core.chat.Editor`. The buttons stand under the last text; files come after it."""
        texts = self._texts(reply)
        if len(texts) == 1:
            await self.edit(conversation, sent, reply, taps)
            return
        chat, under = self._standing(conversation, sent[min(len(texts), len(sent)) - 1])
        if self._bot is not None and under is not None:
            keyboard = parts.keyboard(reply.buttons, taps)
            try:
                await self._bot.edit_message_reply_markup(chat, under, reply_markup=keyboard)
            except TelegramError as error:
                log.debug("an edit was dropped: %s", error.message)

    @staticmethod
    def _texts(reply: Reply) -> list[Rich]:
        return [rich for rich in markup.cut(markup.of(reply), units=parts.TEXT_UNITS) if not rich.blank]

    def draft(self, conversation: str, cause: str, text: str) -> None:
        """See `ChatAdapter`."""
        self._drafts.update(conversation, cause, text)

    async def _answered(self, message: Outgoing) -> bool:
        """End the spinner of the pressed button that a message answers.

        A refusal is shown there, and nowhere else; one that is too long for that is a message as any other.
        """
        heard = self._heard.get(message.cause or "")
        if heard is None or heard.query is None:
            return False
        refused = not message.reply.data.get("ok", True) and len(message.reply.text) <= _TOAST
        return await self._answer_query(heard.inbound.key, message.reply.text if refused else "") and refused

    async def _answer_query(self, key: str, text: str) -> bool:
        heard = self._heard.get(key)
        if heard is None or heard.query is None or self._bot is None:
            return False
        self._heard[key] = replace(heard, query=None)
        try:
            await self._bot.answer_callback_query(heard.query, text or None, show_alert=bool(text))
        except TelegramError as error:
            log.debug("a button's spinner could not be ended: %s", error.message)
            return False
        return True

    def _parts(self, message: Outgoing) -> list[parts.Part]:
        reply = message.reply
        texts = [parts.Part(rich) for rich in markup.cut(markup.of(reply), units=parts.TEXT_UNITS) if not rich.blank]
        if texts:
            texts[-1] = replace(texts[-1], keyboard=parts.keyboard(reply.buttons, message.taps))
        return texts + [parts.Part(file=file) for file in reply.files]

    async def _deliver(self, message: Outgoing, part: parts.Part, stands: str | None, sent: tuple[str, ...]) -> str:
        """One part, in the place of the message `stands` if it still can be; returns its id."""
        bot = self._bot
        if bot is None:
            raise NotSent(surface=SURFACE, why="it is down", sent=sent)
        chat, thread = self._place(message.conversation)
        _, standing = self._standing(message.conversation, stands or "")
        try:
            if (
                standing is not None
                and part.file is None
                and await parts.edit(bot, chat, standing, replace(part, again=False))
            ):
                return stamped(chat, standing)  # an edit that is made twice is no copy
            return stamped(chat, await parts.new(bot, chat, thread, part, self._replied(message, chat)))
        except RetryAfter as error:
            raise NotSent(surface=SURFACE, why="it asks to wait", wait=seconds(error), sent=sent) from None
        except ChatMigrated as error:
            await self._move(chat, error.new_chat_id)
            raise NotSent(surface=SURFACE, why="the group has moved", wait=0.0, sent=sent) from None
        except (Forbidden, BadRequest) as error:
            raise Undeliverable(surface=SURFACE, why=error.message) from None
        except NotReached as error:
            raise NotSent(surface=SURFACE, why=error.message, sent=sent) from None
        except InvalidToken:
            raise NotSent(surface=SURFACE, why="it refuses the token", sent=sent) from None
        except TelegramError as error:
            if "Too Large" in error.message:
                raise Undeliverable(surface=SURFACE, why=error.message) from None
            raise NotSent(surface=SURFACE, why=error.message, sent=sent, doubtful=True) from None

    def _place(self, conversation: str) -> tuple[int, int | None]:
        chat, thread = place(conversation)
        return self._moves.get(chat, chat), thread

    def _standing(self, conversation: str, name: str) -> tuple[int, int | None]:
        """The chat of a conversation, and a message's number there: none if it stayed behind in a group that moved."""
        chat, _ = self._place(conversation)
        return chat, number(name, place(conversation)[0], chat)

    def _replied(self, message: Outgoing, chat: int) -> ReplyParameters | None:
        """In a group an answer points to what it answers, if that did not stay behind; among two it is plain."""
        heard = self._heard.get(message.cause or "")
        if chat > 0 or heard is None or heard.message is None or heard.inbound.tap:
            return None
        if place(heard.inbound.conversation)[0] != chat:
            return None
        return ReplyParameters(heard.message, allow_sending_without_reply=True)

    async def _move(self, old: int, new: int) -> None:
        if self._moves.get(old) != new:
            await self._moved(str(old), str(new))
            self._moves[old] = new


_TOAST = 200
"""Characters that Telegram shows over a pressed button."""


class Poller(ExtBot[None]):
    """PTB's bot, and updates as they came: its own `get_updates` gives up a whole batch for one that it cannot read."""

    async def updates(self, offset: int, wait: int) -> list[dict[str, Any]]:
        """The next updates, confirming all before `offset`; waits for one for so many seconds."""
        found = await self._post(
            "getUpdates",
            {"offset": offset, "limit": BATCH, "timeout": wait, "allowed_updates": list(ALLOWED)},
            read_timeout=wait + 10.0,
        )
        return (
            [update for update in found if isinstance(update, dict) and isinstance(update.get("update_id"), int)]
            if isinstance(found, list)
            else []
        )


async def _begin(bot: Poller, *, polls: bool) -> User:
    try:
        await bot.initialize()
        if polls:
            await bot.delete_webhook(drop_pending_updates=False)
        return await bot.get_me()
    except InvalidToken:
        raise TokenRefused from None
    except TelegramError as error:
        raise Unreachable(why=error.message) from None
