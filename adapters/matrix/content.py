"""Replies as Matrix's events: the words plain and as HTML, status and errors as notices, each well below an event's 64 KiB."""

from __future__ import annotations

import json
import mimetypes
from html import escape
from typing import TYPE_CHECKING, Any

from nio.crypto import decrypt_attachment

from adapters import markup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from adapters.markup import Rich
    from core.chat import Outgoing, Reply
    from core.voice.hearing import Voice

TEXT_BYTES = 11_000
"""Bytes that one event's text takes as HTML in JSON: an edit says it four times, and encrypted it is a third more.

An event has 65,536 bytes at most; matrix-nio writes what it encrypts with escapes, so that a letter of Cyrillic takes six.
"""

BUTTONS = "org.timmy.buttons"
"""Where an event says what its buttons are: label -> id. A reaction of that name presses it."""


VOICE = "org.matrix.msc3245.voice"
"""What marks audio as something that was said."""


_LINE = "<br>"

QUIET: Mapping[str, Any] = {
    "m.url_previews": [], "com.beeper.linkpreviews": [], "uk.half-shot.unstable.show_url_previews": False,
}  # fmt: skip
"""That an event's addresses have no previews: one that a model put together would be visited unasked. It is the client that
fetches them, by its homeserver, and it may know none of these (MSC 4095 by both its names; element-web's pull request 33775)."""


def texts(reply: Reply) -> list[Rich]:
    """The words of a reply, a piece for each event."""
    return [rich for rich in markup.cut(markup.of(reply), TEXT_BYTES, TEXT_BYTES, _price) if not rich.blank]


def _price(char: str) -> int:
    """The bytes of a character in the JSON of an event's HTML."""
    return len(json.dumps(_LINE if char == "\n" else escape(char, quote=False))) - 2


def message(rich: Rich, *, notice: bool, buttons: Mapping[str, str]) -> dict[str, Any]:
    """The content of an event with a text."""
    content: dict[str, Any] = {
        "msgtype": "m.notice" if notice else "m.text", "body": rich.text, "m.mentions": {}, **QUIET,
    }  # fmt: skip
    if rich.marks:
        content |= {"format": "org.matrix.custom.html", "formatted_body": _html(rich)}
    return content | ({BUTTONS: dict(buttons)} if buttons else {})


def replacing(event: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an event that stands in the place of another; clients that know no edits show it with a star."""
    return {
        **content, "body": f"* {content['body']}", "m.new_content": dict(content),
        "m.relates_to": {"rel_type": "m.replace", "event_id": event},
    }  # fmt: skip


def newest_edit(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event that stands in the place of this one, where a server hands it over too (v1.11, 11.36.3)."""
    return _inner(event, "unsigned", "m.relations", "m.replace")


def labels(event: Mapping[str, Any]) -> dict[str, str]:
    """The buttons of an event of the hub: label -> id."""
    found = _inner(event, "content", "m.new_content", BUTTONS) or _inner(event, "content", BUTTONS) or {}
    return {str(label): str(tap) for label, tap in found.items()}


def _inner(found: Any, *keys: str) -> dict[str, Any] | None:
    """The object under these keys, one in the other; None where there is no such thing."""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def placed(content: dict[str, Any], thread: str | None, answered: str | None) -> dict[str, Any]:
    """The content in a thread, or as an answer to an event."""
    if thread is not None:
        answered = answered or thread
        content["m.relates_to"] = {
            "rel_type": "m.thread", "event_id": thread, "is_falling_back": True, "m.in_reply_to": {"event_id": answered},
        }  # fmt: skip
    elif answered is not None:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": answered}}
    return content


def replaces(content: Mapping[str, Any]) -> bool:
    """Whether the content stands in the place of another event's."""
    return "m.new_content" in content


def free(content: dict[str, Any]) -> None:
    """Make it the content of an event that has to do with no other."""
    alone = content.get("m.new_content") or content.copy()
    content.clear()
    content |= {key: value for key, value in alone.items() if key != "m.relates_to"}


def reference(content: Mapping[str, Any]) -> str:
    """By what a file of an event is fetched and opened later: its URL, or the JSON of its URL and keys."""
    found = content.get("file")
    if not isinstance(found, dict):
        return str(content.get("url", ""))
    return json.dumps(
        {"url": found["url"], "k": found["key"]["k"], "iv": found["iv"], "sha256": found["hashes"]["sha256"]}
    )


def referred(ref: str) -> tuple[str, Callable[[bytes], bytes]]:
    """The URL that a reference means, and what opens the file there. That raises `EncryptionError` for another file."""
    if not ref.startswith("{"):
        return ref, lambda data: data
    try:
        keys = json.loads(ref)
        url = str(keys["url"])
    except (ValueError, KeyError, TypeError):
        return ref, lambda data: data
    return url, lambda data: bytes(decrypt_attachment(data, keys["k"], keys["sha256"], keys["iv"]))


def file(name: str, url: str, size: int, keys: Mapping[str, Any] | None) -> dict[str, Any]:
    """The content of an event with a file that was uploaded, encrypted if there are `keys`."""
    kind = media_type(name)
    sort = kind.partition("/")[0]
    return {
        "msgtype": f"m.{sort}" if sort in {"image", "audio", "video"} else "m.file", "body": name, "filename": name,
        **({"file": {**keys, "url": url}} if keys else {"url": url}),
        "info": {"mimetype": kind, "size": size}, "m.mentions": {},
    }  # fmt: skip


def voice(url: str, voice: Voice, keys: Mapping[str, Any] | None) -> dict[str, Any]:
    """The content of an event with a voice note that was uploaded (MSC 3245, and 1767 for its length, ms)."""
    length = round(voice.seconds * 1000)
    content = file("answer.ogg", url, len(voice.ogg), keys)
    content["info"] |= {"duration": length, "mimetype": "audio/ogg"}
    return content | {
        "msgtype": "m.audio", "body": "Voice message", "org.matrix.msc1767.audio": {"duration": length}, VOICE: {},
    }  # fmt: skip


def media_type(name: str) -> str:
    """The media type that a name's ending stands for."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def buttons(reply: Reply, taps: Sequence[str]) -> dict[str, str]:
    """Label -> id of a reply's buttons."""
    return {button.label: tap for button, tap in zip(reply.buttons, taps, strict=False)}


def is_notice(outgoing: Outgoing) -> bool:
    """Whether it is a status or an error, rather than an answer: other bots never react to those."""
    return outgoing.cause is None or not outgoing.reply.data.get("ok", True)


def _html(rich: Rich) -> str:
    """Line ends mean nothing in HTML, except where the text is set as it is written."""
    parts = markup.html(rich).split("<pre>")
    out = [parts[0].replace("\n", _LINE)]
    for part in parts[1:]:
        inside, end, after = part.partition("</pre>")
        out.append(f"<pre>{inside}{end}{after.replace(chr(10), _LINE)}")
    return "".join(out)
