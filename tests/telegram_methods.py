"""The methods of the Bot API that `tests.telegram_server` answers, apart from the wire and from getUpdates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.telegram_rules import ACTIONS, Args, Refused, bad, commands, forbidden, keyboard, picture
from tests.telegram_text import formatted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.telegram_objects import Chat, Message
    from tests.telegram_rules import Json
    from tests.telegram_world import World

SAME = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content "
    "and reply markup of the message"
)
GENERAL = 1
"""The topic every forum has, which is written to by naming none."""


class Methods:
    """Each public name, lower case, is a method: it returns `result` or raises `Refused`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.table: dict[str, Callable[[Args], Any]] = {
            name.replace("_", ""): getattr(self, name) for name in dir(self) if name[0] != "_"
        }
        self.webhook: Json = {"url": ""}
        self.secret: Any = ""

    # -- the bot itself

    def get_me(self, _: Args) -> Json:
        return {
            **self._world.bot.wire(),
            "can_join_groups": True,
            "can_read_all_group_messages": not self._world.privacy,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    def set_webhook(self, args: Args) -> bool:
        url = args.text("url")
        if url and not url.startswith("https://"):
            raise bad("bad webhook: An HTTPS URL must be provided for webhook")
        self.webhook = {"url": url}
        self.secret = args.params.get("secret_token", "")
        if args.flag("drop_pending_updates"):
            self._world.queue.clear()
        return True

    def delete_webhook(self, args: Args) -> bool:
        return self.set_webhook(Args({**args.params, "url": ""}))

    def get_webhook_info(self, _: Args) -> Json:
        return {**self.webhook, "has_custom_certificate": False, "pending_update_count": len(self._world.queue)}

    def set_my_commands(self, args: Args) -> bool:
        self._world.menus[self._scope(args)] = commands(args.json("commands", "commands") or [])
        return True

    def get_my_commands(self, args: Args) -> list[Json]:
        menu = self._world.menus.get(self._scope(args), [])
        return [{"command": name, "description": about} for name, about in menu]

    def delete_my_commands(self, args: Args) -> bool:
        self._world.menus.pop(self._scope(args), None)
        return True

    def _scope(self, args: Args) -> tuple[str, ...]:
        scope = args.json("scope", "BotCommandScope") or {"type": "default"}
        kind = str(scope.get("type"))
        plain = ("default", "all_private_chats", "all_group_chats", "all_chat_administrators")
        if kind in plain:
            return (args.text("language_code"), kind)
        if kind not in ("chat", "chat_administrators", "chat_member"):
            raise bad("can't parse BotCommandScope: Unsupported type specified")
        chat = self._chat(Args({"chat_id": scope.get("chat_id")}))
        key = (args.text("language_code"), kind, str(chat.id))
        return (*key, str(scope["user_id"])) if kind == "chat_member" else key

    # -- sending

    def send_message(self, args: Args) -> Json:
        if not args.text("text"):
            raise bad("message text is empty")
        text, entities = formatted(args, self._world.limits)
        message = self._new(args)
        if not text:
            self._drop(message)
            raise bad("text must be non-empty")
        message.text, message.entities, message.html = text, entities, args.text("text")
        return self._sent(message)

    def send_document(self, args: Args) -> Json:
        return self._file(args, "document")

    def send_photo(self, args: Args) -> Json:
        return self._file(args, "photo")

    def send_voice(self, args: Args) -> Json:
        return self._file(args, "voice")

    def _file(self, args: Args, kind: str) -> Json:
        text, entities = formatted(args, self._world.limits, "caption")
        content, file = self._media(args, kind, args.params.get(kind))
        message = self._new(args)
        message.content, message.files = content, [file]
        message.text, message.entities, message.html = text, entities, args.text("caption")
        return self._sent(message)

    def send_media_group(self, args: Args) -> list[Json]:
        items = args.json("media", "media") or []
        if not items:
            raise bad("there are no messages to send")
        if len(items) > 10:
            raise bad("too many messages to send as an album")
        made = []
        for item in items:
            text, entities = formatted(
                Args({**item, "caption_entities": item.get("caption_entities")}), self._world.limits, "caption"
            )
            made.append((self._media(args, item["type"], item.get("media")), text, entities, item.get("caption") or ""))
        album, sent = str(9_000_000 + self._world.now()), []
        for (content, file), text, entities, html in made:
            message = self._new(args)
            message.content, message.files, message.extra = content, [file], {"media_group_id": album}
            message.text, message.entities, message.html = text, entities, html
            sent.append(self._sent(message))
        return sent

    def _media(self, args: Args, kind: str, given: Any) -> tuple[Json, Any]:
        given = "" if given is None else str(given)
        upload = args.files.get(given.removeprefix("attach://") if given.startswith("attach://") else kind)
        if upload is None:
            file = self._world.files.get(given)
            if file is None:
                raise bad("wrong file identifier/HTTP URL specified" if given else f"there is no {kind} in the request")
            data = file.data
        else:
            data = upload.data
            if not data:
                raise bad("file must be non-empty")
            file = None
        if kind == "photo":
            width, height = picture(data, self._world.limits)
            file = file or self._world.store("photo.jpg", "image/jpeg", data)
            return {"photo": self._world.sizes(file, width, height)}, file
        if file is None:
            assert upload is not None
            file = self._world.store(upload.name, upload.mime, data)
        if kind == "voice":
            if not data.startswith(b"OggS"):
                raise bad("a voice message must be OGG with Opus")
            return {"voice": {**file.wire(), "duration": args.int("duration"), "mime_type": "audio/ogg"}}, file
        return {"document": {**file.wire(), "file_name": file.name, "mime_type": file.mime}}, file

    def send_chat_action(self, args: Args) -> bool:
        if args.text("action") not in ACTIONS:
            raise bad("wrong parameter action in request")
        chat = self._chat(args)
        chat.writable()
        self._world.done.append((chat.id, args.text("action"), args.int("message_thread_id") or None))
        self._world.touch()
        return True

    def _new(self, args: Args) -> Message:
        """A message of the bot's, if it may send one there."""
        chat = self._chat(args)
        chat.writable()
        thread = args.int("message_thread_id") or None
        if thread and (chat.forum or chat.kind == "private") and (thread == GENERAL or thread not in chat.topics):
            raise bad("message thread not found")
        answered = self._answered(args, chat)
        rows = keyboard(args, self._world.limits)
        message = self._world._message(chat, self._world.bot.id, thread=thread, reply_to=answered)
        message.buttons = rows or []
        if chat.kind == "channel":
            message.sender = {"sender_chat": chat.wire()}
        return message

    def _answered(self, args: Args, chat: Chat) -> Message | None:
        reply = args.json("reply_parameters", "reply parameters") or {}
        wanted = int(reply.get("message_id") or args.int("reply_to_message_id"))
        if not wanted:
            return None
        found = chat.messages.get(wanted)
        if found and not found.deleted:
            return found
        if reply.get("allow_sending_without_reply") or args.flag("allow_sending_without_reply"):
            return None
        raise bad("message to be replied not found")

    def _drop(self, message: Message) -> None:
        del message.chat.messages[message.id]

    def _sent(self, message: Message) -> Json:
        self._world.sent += 1
        self._world.touch()
        return message.wire()

    # -- changing

    def edit_message_text(self, args: Args) -> Json:
        if not args.text("text"):
            raise bad("message text is empty")
        text, entities = formatted(args, self._world.limits)
        message = self._mine(args)
        if not text:
            raise bad("text must be non-empty")
        if message.content:
            raise bad("there is no text in the message to edit")
        rows = keyboard(args, self._world.limits) or []
        return self._edited(message, text, entities, rows, args.text("text"))

    def edit_message_caption(self, args: Args) -> Json:
        text, entities = formatted(args, self._world.limits, "caption")
        message = self._mine(args)
        if not message.content:
            raise bad("there is no caption in the message to edit")
        rows = keyboard(args, self._world.limits) or []
        return self._edited(message, text, entities, rows, args.text("caption"))

    def edit_message_reply_markup(self, args: Args) -> Json:
        message = self._mine(args)
        rows = keyboard(args, self._world.limits) or []
        return self._edited(message, message.text, message.entities, rows, message.html)

    def _mine(self, args: Args) -> Message:
        chat = self._chat(args)
        chat.writable()
        message = chat.messages.get(args.int("message_id"))
        if not message or message.deleted:
            raise bad("message to edit not found")
        if not message.mine:
            raise bad("message can't be edited")
        return message

    def _edited(self, message: Message, text: str, entities: list[Json], rows: list[list[Json]], html: str) -> Json:
        if (text, entities, rows) == (message.text, message.entities, message.buttons):
            raise bad(SAME)
        if text != message.text or entities != message.entities:
            message.edits.append(message.text)
        message.text, message.entities, message.buttons, message.html = text, entities, rows, html
        message.edited = self._world.now()
        self._world.touch()
        return message.wire()

    def delete_message(self, args: Args) -> bool:
        chat = self._chat(args)
        chat.writable()
        message = chat.messages.get(args.int("message_id"))
        if not message or message.deleted:
            raise bad("message to delete not found")
        if not message.mine and chat.kind != "private" and chat.status != "administrator":
            raise bad("message can't be deleted")
        message.deleted = True
        self._world.touch()
        return True

    def answer_callback_query(self, args: Args) -> bool:
        query = args.text("callback_query_id")
        if query not in self._world.queries:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        if len(args.text("text")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        self._world.answers.setdefault(query, {"text": args.text("text"), "alert": args.flag("show_alert")})
        self._world.touch()
        return True

    # -- asking

    def get_file(self, args: Args) -> Json:
        file = self._world.files.get(args.text("file_id"))
        if file is None:
            raise bad("invalid file_id" if args.text("file_id") else "file_id not specified")
        if file.size > self._world.limits.download:
            raise bad("file is too big")
        return {**file.wire(), "file_path": file.path}

    def get_chat(self, args: Args) -> Json:
        chat = self._chat(args)
        if chat.migrated_to:
            chat.writable()
        gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
        shown = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(gifts, False)}
        return {**chat.wire(), **shown}

    def get_chat_member(self, args: Args) -> Json:
        chat = self._chat(args)
        if chat.migrated_to or chat.kind != "private":
            chat.writable()
        user = self._world.users.get(args.int("user_id"))
        if user is None:
            raise bad("user not found")
        if user is self._world.bot:
            return self._world.member(user, chat.status)
        if user.id in chat.admins:
            return self._world.member(user, "administrator")
        return self._world.member(user, "member" if user.id in chat.members or user.id == chat.id else "left")

    def leave_chat(self, args: Args) -> bool:
        chat = self._chat(args)
        if chat.kind == "private":
            raise bad("chat member status can't be changed in private chats")
        chat.writable()
        chat.status = "left"
        self._world.touch()
        return True

    def _chat(self, args: Args) -> Chat:
        wanted = args.text("chat_id")
        if not wanted:
            raise bad("chat_id is empty")
        if wanted.startswith("@"):
            names = {chat.username: chat for chat in self._world.chats.values() if chat.kind != "private"}
            found = names.get(wanted[1:])
        else:
            found = self._world.chats.get(args.int("chat_id"))
        if found is None and args.int("chat_id") in self._world.users:
            raise forbidden("bot can't initiate conversation with a user")
        if found is None:
            raise bad("chat not found")
        return found


__all__ = ["Methods", "Refused"]
