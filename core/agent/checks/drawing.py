"""Pictures as SVG: well-formed, with shapes, without scripts or anything from elsewhere; delivered as a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.agent.checks import markup
from core.agent.checks.draft import MOST_FAULTS, Checked, asks, named_file, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.agent.checks.draft import Draft
    from core.agent.checks.markup import Element, Read

SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text"})
_FORBIDDEN = frozenset(
    {"script", "foreignobject", "iframe", "object", "embed", "image", "a", "audio", "video", "handler"}
)
_PALETTES = frozenset({"palette", "palettes", "colours", "colors"})
_WORDS_ONLY = _PALETTES | {"description", "describe", "feedback", "critique"}
_DRAWS = frozenset({"svg", "logo", "icon", "draw", "drawing", "illustration", "badge", "banner", "sketch"})
_COLOUR = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
_NAMESPACE = "http://www.w3.org/2000/svg"
_SAFE_URL = re.compile(r"url\(\s*['\"]?#[\w.-]{1,64}['\"]?\s*\)", re.IGNORECASE)
_FEWEST_COLOURS = 3


def check(draft: Draft) -> Checked:
    """See the module."""
    start = draft.text.find("<svg")
    end = draft.text.rfind("</svg>")
    if start < 0:
        return Checked(draft.text, tuple(_without(draft)))
    if end < start:
        return Checked(draft.text, ("The SVG is not whole: it has no </svg>. Draw it with fewer shapes.",))
    end += len("</svg>")
    source = draft.text[start:end]
    try:
        read = markup.elements(source)
    except markup.Unusable as error:
        return Checked(draft.text, (f"The SVG does not parse: {error}.",))
    faults = list(dict.fromkeys(_faults(read)))
    if faults:
        return Checked(draft.text, tuple(faults[:MOST_FAULTS]))
    name = named_file(draft.task, ".svg", "drawing.svg")
    if "xmlns" not in read.elements[0].attributes:  # without it a viewer shows nothing
        source = f'<svg xmlns="{_NAMESPACE}"{source[len("<svg") :]}'
    return Checked(
        _words_around(draft.text[:start], draft.text[end:], name),
        files=((name, f"{source}\n".encode("utf-8", "replace")),),
    )


def _without(draft: Draft) -> Iterator[str]:
    """What is wrong with an answer in words."""
    if asks(draft.task, *_DRAWS) or not asks(draft.task, *_WORDS_ONLY):
        yield "There is no SVG in it: draw the picture as one <svg> in a fenced block."
    elif asks(draft.task, *_PALETTES) and len(set(_COLOUR.findall(draft.text.lower()))) < _FEWEST_COLOURS:
        yield "Name each colour by its code, such as #1a2b3c."


def _faults(read: Read) -> Iterator[str]:
    root = read.elements[0]
    if root.attributes.get("xmlns", _NAMESPACE) != _NAMESPACE:
        yield f"The xmlns of the <svg> must be {_NAMESPACE.removeprefix('http://')} with http in front."
    if "viewBox" not in root.attributes and not {"width", "height"} <= root.attributes.keys():
        yield 'The <svg> needs a viewBox, such as viewBox="0 0 100 100".'
    if not any(one.name in SHAPES for one in read.elements):
        yield "Nothing is drawn in it."
    if _reaches_out(read.style):
        yield "Its style must not load anything."
    for one in read.elements:
        yield from _unsafe(one)


def _unsafe(one: Element) -> Iterator[str]:
    if one.name in _FORBIDDEN:
        yield f"It must not hold <{one.name}>."
    for key, value in one.attributes.items():
        plain = key.rpartition(":")[2].lower()
        if plain.startswith("on"):
            yield f"It must not hold {quote(key)}, which runs a script."
        elif (plain in {"href", "src"} and not value.startswith("#")) or _reaches_out(value):
            yield f"{quote(key)} must name a part of the picture itself (#name), nothing elsewhere."
        elif one.name in {"set", "animate"} and value.rpartition(":")[2].lower() == "href":
            yield "It must not change where something leads."


def _reaches_out(style: str) -> bool:
    left = _SAFE_URL.sub("", style.replace("\\", "url("))  # an escape of CSS may spell anything
    return any(one in left.lower() for one in ("url(", "@import", "javascript:", "expression("))


def _words_around(before: str, after: str, name: str) -> str:
    """What was said besides the picture, without its fence."""
    above = re.sub(r"[`~]{3,}[ \w+-]*\s*\Z", "", before[-200:])
    below = re.sub(r"\A\s*[`~]{3,}", "", after)
    said = "\n\n".join(filter(None, ((before[:-200] + above).strip(), below.strip())))
    return f"{said}\n\nThe picture is {name}." if said else f"The picture is {name}."
