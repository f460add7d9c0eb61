"""Reads XML with nothing that could make it more than it is: no document type, no entities of its own, no great depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 64
MAX_ELEMENTS = 20_000


class Unusable(ValueError):
    """Why a text is no XML that can be used."""


class Element(NamedTuple):
    """An element: its name without its prefix in small letters, its attributes as they stand, and how deep it lies."""

    name: str
    attributes: Mapping[str, str]
    depth: int


class Read(NamedTuple):
    """The elements of a document in order, and the text in its `style` elements."""

    elements: list[Element]
    style: str


def elements(text: str, *, typed: bool = False) -> Read:
    """Read a document; `typed`: it may name its type and how it is shown. Raises `Unusable`."""
    found: list[Element] = []
    open_: list[str] = []
    style: list[str] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        plain = name.rpartition(":")[2].lower()
        found.append(Element(plain, attributes, len(open_)))
        open_.append(plain)
        if len(open_) > MAX_DEPTH:
            raise Unusable(f"it is nested more than {MAX_DEPTH} deep")
        if len(found) > MAX_ELEMENTS:
            raise Unusable(f"it has more than {MAX_ELEMENTS:,} elements")

    def end(_: str) -> None:
        open_.pop()

    def characters(text: str) -> None:
        if open_[-1] == "style":
            style.append(text)

    def refuse(*_: object) -> None:
        raise Unusable("it declares a document type, an entity or an instruction; leave that out")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = refuse
    if not typed:
        parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = refuse
    try:
        parser.Parse(text.strip().encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise Unusable(f"line {error.lineno}: {expat.ErrorString(error.code)}") from None
    return Read(found, "".join(style))
