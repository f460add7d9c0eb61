"""What looks like a secret, whose place is no memory that a model is given. Pure, and no proof: a hint for people who forget."""

from __future__ import annotations

import re

from core.language.words import bag

_NAME = (
    r"(?:pass(?:word|phrase|code|wort)|kennwort|wachtwoord|contraseñas?|mot de passe|senha|пароль|parola|has[lł]o|l[oö]senord|pin"
    r"|cvv|cvc|otp|api[ _-]?key|(?:secret|private|access|recovery|seed|auth)[ _-]?(?:key|token|code|phrase|words?)|macaroon)"
)
_OURS = r"(?:my|our|your|his|her|their|the|mein|unser|das|il|\S+['\u2019]s)"
_CODE = r"(?=[^\s,]*\d)(?=[^\s,]*[^\W\d])[^\s,]{5,}"
"""A word with a digit in it."""

_APART = r"(?![ -](?:managers?|polic|app|safe|generator|rules?|reset|hint|protect|chang|board|length|vault))"
"""What follows the name of a secret where another thing is named: `password manager`."""

_OF = r"(?:for|of|to|on|at|für|vom|von|zum|de|du|del|para|do|da|pentru)"
_LOCKS = (
    r"(?:door|gate|alarm|safe|lock|locker|garage|building|house|entry|entrance|keypad|vault|key ?box|bike|security)"
)
_SAYS_SECRET = re.compile(
    rf"\b{_NAME}\b(?: m(?:ea|ia|eu))?\s*"
    rf"(?:(?:is|are|ist|lautet|es|est|este|{_OF} .{{1,40}}? (?:is|ist|es|est|este))\b|[:=\uff1a])\s*\S"
    r"|\btoken\b\s*(?:(?:is|are|ist|es|est|for .{1,40}? is)\b(?!\s+(?:the|an?|my|our)\b)|[:=])\s*\S"
    rf"|\b{_NAME}\b{_APART}(?:[\s,:]+(?!(?:{_NAME}|{_OF}|in|by|since|until|and|or|with)\b)\S+){{0,2}}?[\s,:]+{_CODE}"
    rf"|\b(?:has|have|with) the {_NAME} (?!{_OF}\b|(?:and|or|in|from|too|now|that|which|as)\b)\w"
    rf"|\S (?:is|are|ist|es|est|este|was) {_OURS} (?:\S+ ){{0,2}}{_NAME}(?=$|\s*[.,;!)]|\s+(?:{_OF}|in|and)\b)"
    rf"|\S \((?:{_OURS} )?(?:\S+ ){{0,2}}{_NAME}\)"
    rf"|\b{_NAME}\s+\d{{4,}}\b"
    r"|(?:密码|密碼|口令|パスワード|暗証番号|비밀번호|암호|كلمة المرور)\s*(?:是|为|為|は|은|는|هي|[:=\uff1a\uff1d])?\s*[!-~]{3,}",
    re.IGNORECASE,
)
_OPENER = rf"(?:{_LOCKS}[ -]?(?:code|combination)|(?:code|combination) {_OF} (?:\w+ ){{0,3}}?{_LOCKS})"
_OPENS = re.compile(
    rf"\b(?!building code \d)(?:{_OPENER}|(?:the|my|our) code)(?: {_OF} .{{1,40}}? is\b|\s*(?:is\b|[:=]))?\s*#?\d{{3,}}"
    rf"|\d{{3,}}[#*]? (?:is (?:{_OURS} )?(?:\w+ ){{0,2}}?{_OPENER}|opens (?:{_OURS} )?(?:\w+ )?{_LOCKS})\b",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"\b(?:log-?in|logon|sign-?in|credentials?|zugangsdaten|username|user)\b\s*(?:(?:is|are|ist|sind)\b|[:=])?\s*"
    rf"(?!(?:is|are|ist|sind|on|in|at|of|for|with)\b)[^\s,/;|]+(?:\s*[,/;|]\s*|\s+(?:and\s+)?){_CODE}",
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
    ("a password", _LOGIN),
    ("a code that opens something", _OPENS),
)
_MIXED = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)[A-Za-z0-9+/=_-]{28,}")
"""A run of letters of both cases and digits: no word, and no name of anything that a person writes by hand."""

_CARD = re.compile(r"(?<![\d.,])(?:\d[ -]?){12,18}\d(?![\d.,])")
_SEED_LENGTHS = frozenset({12, 15, 18, 21, 24})
"""Of a seed phrase (BIP 39, "Generating the mnemonic")."""

_SEED_WORD = re.compile(r"[a-z]{3,8}")
_GLUE = frozenset(
    bag("the and are was for with has not but his her our their they from your does were und der die das est les")
)
"""Words that hold a sentence together, and are no words of a seed phrase."""

_LABELS = bag("seed seeds phrase mnemonic wallet recovery backup words bitcoin")
"""What may stand before a seed phrase, though some of it is a word of one too."""


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
    """Twelve and more short words in a row of which none holds a sentence together, and none is the label before them."""
    row = 0
    text = re.sub(r"\d+[.):]|[,;]", " ", text[:1].lower() + text[1:]).replace(":", " : ")
    for word in [*text.split(), "."]:
        if not row and word in _LABELS:
            continue
        if _SEED_WORD.fullmatch(word) and word not in _GLUE:
            row += 1
        elif row in _SEED_LENGTHS:
            return True
        else:
            row = 0
    return False
