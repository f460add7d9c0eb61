"""A reply's text line by line, with the marks that set it: the result in bold, columns in a `pre`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.chat import Mark, Reply, Style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.chat import Button, File
    from core.events import Json


class Page:
    """Lines under a first one, which is the result and set in bold."""

    def __init__(self, head: str) -> None:
        self._lines: list[str] = []
        self._marks: list[Mark] = []
        self._length = 0
        self.add(head, Style.BOLD)

    def add(self, line: str, style: Style | None = None) -> Page:
        """One more line, or several in one string."""
        start = self._length + (1 if self._lines else 0)
        self._lines.append(line)
        self._length = start + len(line)
        if style is not None and line:
            self._marks.append(Mark(start, self._length, style))
        return self

    def quote(self, text: str) -> Page:
        """Lines that somebody else wrote, whatever they look like; none of an empty text."""
        said = text.lstrip("\n")
        for _ in range(len(text) - len(said)):
            self.add("")
        return self.add(said, Style.QUOTE) if said else self

    def table(self, rows: Sequence[Sequence[str]]) -> Page:
        """Rows of equal length in columns, two spaces apart."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return self.add("\n".join(lines), Style.PRE) if rows else self

    def reply(
        self,
        data: Mapping[str, Json],
        task: int | None = None,
        buttons: tuple[Button, ...] = (),
        files: tuple[File, ...] = (),
    ) -> Reply:
        """The reply."""
        return Reply("\n".join(self._lines), data, task, buttons, files, tuple(self._marks))
