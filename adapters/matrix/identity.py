"""Who the bot is to other people's clients, kept in the data folder: its device id, its store's key, and its identity's seeds."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from adapters.matrix.signing import KINDS, SEED_BYTES
from core.errors import Broken

if TYPE_CHECKING:
    from pathlib import Path

    from core.ports import IdSource

FILE = "identity.json"


class IdentityUnreadable(Broken):
    """{path} cannot be read ({why}). Restore it from a backup, or move its folder away: the bot then comes back as a new device."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`device` as the server knows it (empty: the one in the settings), `key` of the store, and base64 `seeds` by kind."""

    device: str
    key: str
    seeds: dict[str, str]


class IdentityFile:
    """The file, and what it says. What has no file gets a new one."""

    def __init__(self, folder: Path, ids: IdSource) -> None:
        self.folder = folder
        self._path = folder / FILE
        self._ids = ids
        self.kept = self._read() if self._path.exists() else self._made()

    def move(self, base: str) -> str:
        """Take a new device id, made of the settings' one: the old one's keys are lost, and no server forgets whose it was."""
        device = f"{base}-{self._ids.token(4)}"
        self._write(replace(self.kept, device=device))
        return device

    def _read(self) -> Kept:
        try:
            kept = Kept(**json.loads(self._path.read_text(encoding="utf-8")))
            whole = set(kept.seeds) == set(KINDS) and all(
                len(base64.b64decode(seed)) == SEED_BYTES for seed in kept.seeds.values()
            )
        except (OSError, ValueError, TypeError) as error:
            raise IdentityUnreadable(path=self._path, why=error) from None
        if not whole:
            raise IdentityUnreadable(path=self._path, why="a seed is missing")
        return kept

    def _made(self) -> Kept:
        seeds = {
            kind: base64.b64encode(base64.urlsafe_b64decode(self._ids.token(SEED_BYTES) + "=")).decode()
            for kind in KINDS
        }
        return self._write(Kept("", self._ids.token(), seeds))

    def _write(self, kept: Kept) -> Kept:
        """Whole or not at all, and for nobody else to read."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        passing = self._path.with_suffix(".new")
        with open(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(asdict(kept), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        passing.replace(self._path)
        self.kept = kept
        return kept
