"""How a word sounds that no dictionary has: letters to the phones of CMUdict (ARPABET), roughly.

Names are what it is for. It knows the usual groups of letters and nothing of stress; a name that it gets wrong is heard worse.
"""

from __future__ import annotations

KNOWN = {
    "sats": "S AE T S", "satoshi": "S AH T OW SH IY", "satoshis": "S AH T OW SH IY Z", "summarise": "S AH M ER AY Z",
    "unfreeze": "AH N F R IY Z", "lyra": "L AY R AH",
}  # fmt: skip
"""Words of the hub's own phrases and agents that CMUdict lacks."""

_GROUPS = {
    "tion": "SH AH N", "ough": "OW", "eigh": "EY", "tch": "CH", "igh": "AY", "sch": "SH",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "wh": "W", "ck": "K", "ng": "NG", "qu": "K W", "kn": "N", "wr": "R",
    "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "oa": "OW", "ai": "EY", "ay": "EY", "ei": "AY",
    "ey": "IY", "ie": "IY", "oy": "OY", "oi": "OY", "au": "AO", "aw": "AO", "er": "ER", "ir": "ER", "ur": "ER",
    "ar": "AA R", "or": "AO R", "bb": "B", "dd": "D", "ff": "F", "gg": "G", "ll": "L", "mm": "M", "nn": "N", "pp": "P",
    "rr": "R", "ss": "S", "tt": "T", "zz": "Z", "ce": "S EH", "ci": "S IH", "cy": "S IY",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "OW", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "Y", "z": "Z",
}  # fmt: skip
_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW", "y": "AY"}
_LAST = {"a": "AH", "e": "IY", "i": "IY", "o": "OW", "u": "UW", "y": "IY"}
_VOWELS = frozenset("aeiouy")
_WIDEST = 4


def pronounce(word: str) -> str:
    """The phones of a word of the letters a to z, others are passed over: "timmy" -> "T IH M IY"."""
    if word in KNOWN:
        return KNOWN[word]
    phones, at = [], 0
    while at < len(word):
        group = _group(word, at)
        phones.append(group[1])
        at += group[0]
    return " ".join(filter(None, phones))


def _group(word: str, at: int) -> tuple[int, str]:
    """How many letters from a place make a sound together, and which."""
    for width in range(_WIDEST, 1, -1):
        if (sound := _GROUPS.get(word[at : at + width])) and at + width <= len(word):
            return width, sound
    letter, rest = word[at], word[at + 1 :]
    if letter in _VOWELS and not rest and at:
        heard = any(one in _VOWELS for one in word[:at])
        return 1, "" if letter == "e" and heard else _LAST[letter]
    if letter in _VOWELS and len(rest) == 2 and rest[0] not in _VOWELS and rest[1] == "e":  # noqa: PLR2004 - "quake"
        return 1, _LONG[letter]
    return 1, _GROUPS.get(letter, "")
