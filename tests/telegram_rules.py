"""What Telegram refuses: the rules of `tests.telegram_server`, without its wire.

Facts come from https://core.telegram.org/bots/api (limits, BotCommand, InlineKeyboardButton, sendPhoto); the wording of
refusals is that of the public Bot API server (github.com/tdlib/telegram-bot-api). Lengths are UTF-16 code units.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

ACTIONS = frozenset(
    {"typing", "choose_sticker", "find_location"}
    | {f"upload_{what}" for what in ("photo", "video", "voice", "audio", "document", "video_note")}
    | {f"record_{what}" for what in ("video", "voice", "audio", "video_note")}
)
OWN_UPDATES = ("chat_member", "message_reaction", "message_reaction_count")
"""The kinds of update that come only to a bot which asks for them by name."""

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")


class Refused(Exception):
    """An answer that is not ok: its code, its description, and its `parameters`."""

    def __init__(self, code: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad(why: str, **parameters: Any) -> Refused:
    """The commonest refusal."""
    return Refused(400, f"Bad Request: {why}", parameters or None)


def forbidden(why: str) -> Refused:
    """The bot may not."""
    return Refused(403, f"Forbidden: {why}")


@dataclass
class Limits:
    """Telegram's; a test that wants to see one in little sets it lower."""

    text: int = 4096
    """UTF-16 units after parsing."""
    caption: int = 1024
    raw: int = 1 << 15
    """Bytes of a text before parsing."""
    photo: int = 10 << 20
    upload: int = 50 << 20
    download: int = 20 << 20
    buttons: int = 100
    row: int = 8
    data: int = 64
    """Bytes of a button's data."""
    poll: float = 50
    """Seconds, the longest poll."""


@dataclass
class Upload:
    """A file in a request."""

    name: str
    mime: str
    data: bytes


@dataclass
class Args:
    """The parameters of a call as they came: text from a form or a query, anything from JSON."""

    params: Json
    files: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A text, empty when it is missing."""
        value = self.params.get(name)
        return "" if value is None else value if isinstance(value, str) else json.dumps(value)

    def int(self, name: str, default: int = 0) -> int:
        """A whole number; what is none counts as missing."""
        try:
            return int(self.params.get(name, default))
        except (TypeError, ValueError):
            return default

    def flag(self, name: str) -> bool:
        """A switch."""
        return str(self.params.get(name, "")).lower() in ("true", "1", "yes")

    def json(self, name: str, what: str) -> Any:
        """An object or array, None when it is missing."""
        value = self.params.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise bad(f"can't parse {what} JSON object") from None


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, start: int, end: int | None = None) -> str:
    """A part of a text by UTF-16 units."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[2 * start : None if end is None else 2 * end].decode("utf-16-le", "replace")


def keyboard(args: Args, limits: Limits) -> list[list[Json]] | None:
    """The rows of an inline keyboard, None when there is none; other markups pass."""
    markup = args.json("reply_markup", "reply keyboard markup")
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad("object expected as reply markup")
    rows = markup.get("inline_keyboard")
    if rows is None:
        return None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    for button in (button for row in rows for button in row):
        _button(button, limits)
    if sum(map(len, rows)) > limits.buttons or any(len(row) > limits.row for row in rows):
        raise bad("reply markup is too long")
    return [row for row in rows if row]


def _button(button: Any, limits: Limits) -> None:
    if not isinstance(button, dict):
        raise bad("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    if not button.get("text"):
        raise bad("can't parse inline keyboard button: Can't find field \"text\"")
    if button.get("url") or any(name not in ("text", "callback_data", "url") for name in button):
        return
    data = button.get("callback_data")
    if not data:
        raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if len(data.encode()) > limits.data:
        raise bad("BUTTON_DATA_INVALID")


def commands(given: Any) -> list[tuple[str, str]]:
    """The menu in a setMyCommands."""
    if not isinstance(given, list):
        raise bad("expected an Array of BotCommand")
    if len(given) > 100:
        raise bad("BOT_COMMANDS_TOO_MUCH")
    menu = []
    for entry in given:
        name, about = str(entry.get("command", "")).removeprefix("/"), str(entry.get("description", ""))
        if not name or not about:
            raise bad(f"command {'name' if not name else 'description'} must be non-empty")
        if len(name) > 32 or len(about) > 256:
            which, most = ("name", 32) if len(name) > 32 else ("description", 256)
            raise bad(f"command {which} length must not exceed {most}")
        if not re.fullmatch(r"[a-z0-9_]+", name):
            raise bad("BOT_COMMAND_INVALID")
        menu.append((name, about))
    return menu


def picture(data: bytes, limits: Limits) -> tuple[int, int]:
    """The width and height of a picture Telegram takes; those of other kinds than PNG are made up."""
    if len(data) > limits.photo:
        raise bad(f"file of size {len(data)} bytes is too big for a photo; the maximum size is {limits.photo} bytes")
    if not data.startswith(_PICTURES):
        raise bad("IMAGE_PROCESS_FAILED")
    width, height = struct.unpack(">II", data[16:24]) if data[:4] == b"\x89PNG" and len(data) > 24 else (90, 90)
    if width + height > 10000 or max(width, height) > 20 * max(1, min(width, height)):
        raise bad("PHOTO_INVALID_DIMENSIONS")
    return width, height
