"""What looks like a secret, whose place is no memory that a model is given. Pure, and no proof: a hint for people who forget."""

from __future__ import annotations

import re

from core.agent.memory import words

_SAYS_SECRET = re.compile(
    r"\b(?:pass(?:word|phrase|code|wort)|kennwort|contraseñas?|mot de passe|senha|пароль|pin|cvv|cvc|otp|api[ _-]?key"
    r"|(?:secret|private|access|recovery|seed|auth)[ _-]?(?:key|token|code|phrase|words?)|token|macaroon)\b"
    r"\s*(?:(?:is|are|ist|es|est|for .{1,40}? is)\b|[:=])\s*\S",
    re.IGNORECASE,
)
_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:nsec1|[xyz]prv)[0-9a-zA-Z]{20,}")),
    ("a token", re.compile(r"\btimmy_[a-z]+_[A-Za-z0-9_-]{16,}|\b\d{6,12}:[A-Za-z0-9_-]{30,}|\bsyt_[A-Za-z0-9_]{10,}")),
    (
        "a token",
        re.compile(
            r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bxox[abps]-\S{10,}"
            r"|\bA(?:KIA|SIA)[0-9A-Z]{16}|\bAIza[A-Za-z0-9_-]{30,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|\bglpat-\S{15,}"
        ),
    ),
    ("an address with a password in it", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@", re.IGNORECASE)),
    ("a key in hexadecimal", re.compile(r"\b[0-9a-fA-F]{48,}\b")),
    ("a password", _SAYS_SECRET),
)
_MIXED = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)[A-Za-z0-9+/=_-]{28,}")
"""A run of letters of both cases and digits: no word, and no name of anything that a person writes by hand."""

_CARD = re.compile(r"(?<![\d.,])(?:\d[ -]?){12,18}\d(?![\d.,])")
_SEED_LENGTHS = frozenset({12, 15, 18, 21, 24})
"""Of a seed phrase (BIP 39, "Generating the mnemonic")."""

_SEED_WORD = re.compile(r"[a-z]{3,8}")
_GLUE = frozenset(
    words("the and are was for with has not but his her our their they from your does were und der die das est les")
)
"""Words that hold a sentence together, and are no words of a seed phrase."""


def secret_in(text: str) -> str | None:
    """What a text looks like that nobody should have remembered, in words; None where it looks like nothing of the sort."""
    for what, pattern in _SECRETS:
        if pattern.search(text):
            return what
    if _MIXED.search(text):
        return "a key"
    if any(_luhn(re.sub(r"\D", "", found)) for found in _CARD.findall(text)):
        return "a card's number"
    return "a seed phrase" if _is_seed(text) else None


def _luhn(digits: str) -> bool:
    """Whether the check digit of a card's number is right (ISO/IEC 7812-1, annex B)."""
    doubled = [int(one) * (2 if place % 2 else 1) for place, one in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0  # noqa: PLR2004 - the sum of two digits


def _is_seed(text: str) -> bool:
    """Twelve and more short words in a row of which none holds a sentence together."""
    row = 0
    for word in [*re.sub(r"\d+[.)]|[,;:]", " ", text).split(), "."]:
        if _SEED_WORD.fullmatch(word) and word not in _GLUE:
            row += 1
        elif row in _SEED_LENGTHS:
            return True
        else:
            row = 0
    return False
