"""Which names are closed to every skill: the stated list, and plain rules over it. No file is touched here."""

from __future__ import annotations

import re
import unicodedata
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from adapters.skills.errors import AddressGiven, FileClosed, NameUnusable, OutsideWorkspace

SECRET_NAMES = (
    "*id_rsa*",
    "*id_dsa*",
    "*id_ecdsa*",
    "*id_ed25519*",
    "wallet*",
    "seed.*",
    "kubeconfig*",
    "*service?account*.json",
    "channel.backup",
    "authorized_keys",
)
"""Files and folders that hold secrets by their whole name, any case."""

SECRET_WORDS = re.compile(
    r"secret|credential|passw(?:or)?d|passphrase|passcode|htpasswd|pgpass|netrc|mnemonic|macaroon"
    r"|(?:private|api|access|root|master|signing|encryption|deploy|ssh) ?key(?!board|note)"
    r"|(?:seed|recovery) ?(?:phrase|word|code)"
)
"""What makes a name secret wherever it stands in it; in a name so compared, all but letters is one space."""

HARMLESS_WORDS = re.compile(
    r"secretar\w*|secretion\w*|secretiv\w*|secretly|passwordless|credential(?:ed|ing|ism)|token(?:i[sz]|omic|ed)\w*"
)
"""Words that only look secret: the secretary's notes, a tokenizer."""

_TOKEN = re.compile(r"token")
_PROSE = frozenset({".md", ".markdown", ".rst", ".adoc", ".tex", ".html", ".pdf", ".docx"})
"""People write about tokens, of models and of money, and keep their own in files of other kinds."""

SECRET_SUFFIXES = frozenset(
    {
        *(".env", ".pem", ".key", ".ppk", ".p8", ".p12", ".pfx", ".jks", ".keystore", ".keytab", ".ovpn"),
        *(".kdb", ".kdbx", ".agilekeychain", ".opvault", ".gpg", ".pgp", ".age"),
        *(".macaroon", ".wallet", ".secret", ".secrets", ".tfstate", ".tfvars"),
    }
)
"""Files that hold secrets by a suffix, wherever it stands: `tls.key` and `tls.key.bak` alike."""

VENV_MARK = "pyvenv.cfg"
"""The file that makes a folder a virtual environment (PEP 405)."""

_NO_LETTERS = re.compile(r"[\W\d_]+")
_LONGEST_NAME = 500
_LONGEST_PART = 255  # bytes; NAME_MAX of every usual file system
_LONGEST_SHOWN = 80


def why_closed(part: str) -> str:
    """Why one part of a path is closed, or "" if its name is open."""
    name = unicodedata.normalize("NFKC", part).casefold().rstrip(" .")
    if part.startswith("."):
        return "names that begin with a dot are private"
    return "its name says that it holds secrets" if _says_secret(name) else ""


def _says_secret(name: str) -> bool:
    suffixes = PurePosixPath(name).suffixes
    if any(fnmatchcase(name, pattern) for pattern in SECRET_NAMES) or not SECRET_SUFFIXES.isdisjoint(suffixes):
        return True
    words = HARMLESS_WORDS.sub("", _NO_LETTERS.sub(" ", name))
    return bool(SECRET_WORDS.search(words) or (_TOKEN.search(words) and _PROSE.isdisjoint(suffixes[-1:])))


def parts_of(name: str, root: str) -> tuple[str, ...]:
    """The parts of a name that a user wrote, relative to the workspace `root`; () is the workspace itself.

    Decides by the words alone, so a refusal tells nothing about what exists. Raises `NameUnusable`,
    `AddressGiven`, `OutsideWorkspace` or `FileClosed`.
    """
    if "://" in name:
        raise AddressGiven(path=shown(name))
    if not name.strip():
        raise NameUnusable(path="An empty name", why="it says nothing")
    if not name.isprintable():
        raise NameUnusable(path=shown(name), why="it holds control characters")
    if len(name) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in name.split("/")):
        raise NameUnusable(path=shown(name), why="it is too long")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise OutsideWorkspace(path=shown(name))
    if path.is_absolute():
        if not path.is_relative_to(root):
            raise OutsideWorkspace(path=shown(name))
        path = path.relative_to(root)
    refuse_closed(path.parts, name)
    return path.parts


def refuse_closed(parts: tuple[str, ...], name: str) -> None:
    """Raise `FileClosed`, in terms of the written `name`, if any part is closed by its name."""
    for part in parts:
        if why := why_closed(part):
            raise FileClosed(path=shown(name), why=why)


def shown(name: str) -> str:
    """A name as it may appear in an answer: printable, short, one line."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in name[: _LONGEST_SHOWN + 1])
    return printable if len(printable) <= _LONGEST_SHOWN else printable[:_LONGEST_SHOWN] + "…"
