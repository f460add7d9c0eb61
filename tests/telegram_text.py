"""What Telegram makes of a text: `typed` finds commands and addresses in it, `parse_html` takes the HTML of the Bot API.

Formats: https://core.telegram.org/bots/api#html-style. What a mistake is answered with, and what is let pass (a reference it
does not know stays as it is), are those of the public server's parser (github.com/tdlib/td). "byte offset" is in UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tests.telegram_rules import bad, cut, units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.telegram_rules import Args, Json, Limits

STYLES = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
CODE = ("code", "pre")
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
SPACE = " \t\r\n"
_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9a-fA-F]+)|([0-9]+))|([a-zA-Z]+));?")
_TYPED = re.compile(
    r"(?P<url>https?://[^\s<>]+)|(?<![\w/@])(?P<bot_command>/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?)(?![\w/])"
    r"|(?<![\w@])(?P<mention>@[A-Za-z][A-Za-z0-9_]{3,31})(?!\w)"
)


def typed(text: str) -> list[Json]:
    """What Telegram finds by itself in a text: commands, mentions, addresses."""
    if not any(sign in text for sign in "/@"):
        return []
    found = [(str(m.lastgroup), m) for m in _TYPED.finditer(text)]
    return [{"type": kind, "offset": units(text[: m.start()]), "length": units(m.group())} for kind, m in found]


def formatted(args: Args, limits: Limits, field_name: str = "text") -> tuple[str, list[Json]]:
    """The text and entities Telegram shows for `text` (or `caption`) with its parse mode or entities."""
    raw = args.text(field_name)
    mode = args.text("parse_mode").lower()
    if len(raw) * 4 > limits.raw and len(raw.encode()) > limits.raw:
        raise bad("text is too long")
    if raw and mode == "html":
        text, entities = parse_html(raw)
    elif mode in ("", "none") or not raw:
        given = args.json("entities" if field_name == "text" else "caption_entities", "entities") or []
        text, entities = raw, [dict(entity) for entity in given]
    elif mode in ("markdown", "markdownv2"):
        raise NotImplementedError("this fake speaks HTML only")
    else:
        raise bad("unsupported parse_mode")
    text, entities = _trimmed(text, entities)
    most = limits.text if field_name == "text" else limits.caption
    if len(text) * 2 > most and units(text) > most:
        raise bad("message is too long" if field_name == "text" else "message caption is too long")
    own = [entity for entity in typed(text) if not any(_overlap(entity, other) for other in entities)]
    return text, sorted(entities + own, key=lambda entity: (entity["offset"], -entity["length"]))


def _overlap(one: Json, other: Json) -> bool:
    return bool(
        one["offset"] < other["offset"] + other["length"]
        and other["offset"] < one["offset"] + one["length"]
        and other["type"] in (*CODE, "text_link", "text_mention")
    )


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """White space at the ends goes, in front only up to the first entity."""
    if not text or not (text[0].isspace() or text[-1].isspace()):
        return text, entities
    text = text.rstrip()
    end = units(text)
    lead = units(text) - units(text.lstrip())
    lead = min([lead, *(entity["offset"] for entity in entities)])
    kept = []
    for entity in entities:
        length = min(entity["offset"] + entity["length"], end) - entity["offset"]
        if length > 0:
            kept.append({**entity, "offset": entity["offset"] - lead, "length": length})
    return cut(text, lead), kept


def parse_html(raw: str) -> tuple[str, list[Json]]:
    """Telegram's HTML to text and entities, or its refusal."""
    return _Html(raw).parse()


@dataclass
class _Open:
    tag: str
    start: int
    argument: str


class _Html:
    """One pass over a text. The tags must nest and close; what is no known reference stays as it is."""

    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._at = 0
        self._out: list[str] = []
        self._length = 0
        self._open: list[_Open] = []
        self._entities: list[Json] = []

    def parse(self) -> tuple[str, list[Json]]:
        raw = self._raw
        while self._at < len(raw):
            stop = min(at for at in (raw.find("<", self._at), raw.find("&", self._at), len(raw)) if at >= 0)
            self._emit(raw[self._at : stop])
            self._at = stop
            if stop == len(raw):
                break
            if raw[stop] == "&":
                self._emit(self._reference())
            elif raw.startswith("</", stop):
                self._end()
            else:
                self._start()
        if self._open:
            self._fail(f'Can\'t find end tag corresponding to start tag "{self._open[-1].tag}"')
        return "".join(self._out), list(_settled(self._entities))

    def _emit(self, text: str) -> None:
        self._out.append(text)
        self._length += units(text)

    def _fail(self, why: str, at: int | None = None) -> NoReturn:
        where = "" if at is None else f" at byte offset {len(self._raw[:at].encode())}"
        raise bad(f"can't parse entities: {why}{where}")

    def _reference(self) -> str:
        found = _REFERENCE.match(self._raw, self._at)
        if found:
            hexadecimal, decimal, name = found.groups()
            code = int(hexadecimal, 16) if hexadecimal else int(decimal) if decimal else 0
            known = NAMED.get(name) if name else chr(code) if 0 < code < 0x10FFFF else None
            if known is not None:
                self._at = found.end()
                return known
        self._at += 1
        return "&"

    def _until(self, stops: str) -> str:
        start = self._at
        while self._at < len(self._raw) and self._raw[self._at] not in stops:
            self._at += 1
        return self._raw[start : self._at]

    def _skip_space(self) -> str:
        """The next sign after white space, empty at the end."""
        while self._at < len(self._raw) and self._raw[self._at] in SPACE:
            self._at += 1
        return self._raw[self._at : self._at + 1]

    def _start(self) -> None:
        begin = self._at
        self._at += 1
        tag = self._until(SPACE + ">").lower()
        if self._at == len(self._raw):
            self._fail("Unclosed start tag", begin)
        if tag not in STYLES:
            self._fail(f'Unsupported start tag "{tag}"', begin)
        attributes = self._attributes(tag, begin)
        argument = self._argument(tag, attributes, begin)
        self._open.append(_Open(tag, self._length, argument))

    def _argument(self, tag: str, attributes: Mapping[str, str], begin: int) -> str:
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            self._fail('Tag "span" must have class "tg-spoiler"', begin)
        if tag == "blockquote":
            return "expandable" if "expandable" in attributes else ""
        if tag == "code" and attributes.get("class", "").startswith("language-"):
            return attributes["class"].removeprefix("language-")
        return attributes.get("href" if tag == "a" else "emoji-id", "")

    def _attributes(self, tag: str, begin: int) -> dict[str, str]:
        found: dict[str, str] = {}
        while True:
            sign = self._skip_space()
            if not sign:
                self._fail(f'Unclosed start tag "{tag}"', begin)
            if sign == ">":
                self._at += 1
                return found
            name = self._until(SPACE + "=>").lower()
            if not name:
                self._fail(f'Empty attribute name in the tag "{tag}"', begin)
            if self._skip_space() != "=":
                found[name] = ""
                continue
            self._at += 1
            found[name] = self._value(tag, begin)

    def _value(self, tag: str, begin: int) -> str:
        quote = self._skip_space()
        if not quote:
            self._fail(f'Unclosed start tag "{tag}"', begin)
        if quote not in "\"'":
            start = self._at
            token = self._until(SPACE + ">")
            plain = re.match(r"[A-Za-z0-9.-]*", token)
            if plain and plain.end() < len(token):
                self._fail("Unexpected end of name token", start + plain.end())
            return token.lower()
        self._at += 1
        value = []
        while self._at < len(self._raw) and self._raw[self._at] != quote:
            if self._raw[self._at] == "&":
                value.append(self._reference())
            else:
                value.append(self._raw[self._at])
                self._at += 1
        if self._at == len(self._raw):
            self._fail("Unclosed start tag", begin)
        self._at += 1
        return "".join(value)

    def _end(self) -> None:
        begin = self._at
        if not self._open:
            self._fail("Unexpected end tag", begin)
        self._at += 2
        tag = self._until(SPACE + ">").lower()
        if self._skip_space() != ">":
            self._fail("Unclosed end tag", begin)
        self._at += 1
        opened = self._open.pop()
        if tag and tag != opened.tag:
            self._fail(
                f"Unmatched end tag at byte offset {len(self._raw[:begin].encode())}, "
                f'expected "</{opened.tag}>", found "</{tag}>"'
            )
        if self._length > opened.start:
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        entity: Json = {"type": STYLES[opened.tag], "offset": opened.start, "length": self._length - opened.start}
        if opened.tag == "a":
            text = cut("".join(self._out), opened.start)
            if not _linked(entity, opened.argument or text):
                return
        elif opened.tag == "blockquote" and opened.argument:
            entity["type"] = "expandable_blockquote"
        elif opened.tag == "tg-emoji":
            if not opened.argument.isdigit():
                self._fail("Invalid custom emoji identifier specified")
            entity["custom_emoji_id"] = opened.argument
        elif opened.tag == "code" and opened.argument:
            entity["language"] = opened.argument
        elif opened.tag == "pre" and self._entities:
            inner = self._entities[-1]
            if inner["type"] == "code" and (inner["offset"], inner["length"]) == (entity["offset"], entity["length"]):
                self._entities.pop()
                if inner.get("language"):
                    entity["language"] = inner["language"]
        self._entities.append(entity)


def _linked(entity: Json, address: str) -> bool:
    """Give a link its address; an address that is none makes no link."""
    person = re.fullmatch(r"tg://user\?id=(\d+)", address)
    if person:
        entity["type"] = "text_mention"
        entity["user"] = {"id": int(person.group(1)), "is_bot": False, "first_name": "?"}
        return True
    if "://" not in address:
        address = f"http://{address}"
    scheme, _, rest = address.partition("://")
    if scheme.lower() not in ("http", "https", "tg", "ton", "tonsite") or not re.match(r"[^\s/?#]*[^\s/?#.]", rest):
        return False
    if scheme.lower() in ("http", "https") and "." not in rest.split("/")[0]:
        return False
    entity["url"] = address if "/" in rest else f"{address}/"
    return True


def _settled(entities: Iterable[Json]) -> Iterator[Json]:
    """Nothing is formatted inside code, and no link or quotation inside another."""
    shut = [entity for entity in entities if entity["type"] in CODE]
    for entity in sorted(entities, key=lambda one: (one["offset"], -one["length"])):
        entity.pop("language", None) if entity["type"] != "pre" else None
        if entity["type"] in CODE or not any(_inside(entity, other) for other in shut):
            yield entity


def _inside(entity: Json, other: Json) -> bool:
    return bool(
        entity is not other
        and other["offset"] <= entity["offset"]
        and entity["offset"] + entity["length"] <= other["offset"] + other["length"]
    )
