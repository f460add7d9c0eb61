"""What is to be kept in mind, or no longer: `remember that the printer is called Otto`. Only what is said in so many words.

`remember my birthday is 3 May` lasts, and needs no `that`.
`remember that song?`, `remember when we met` and `I remember that well` are talk. What looks like a secret is for no model to
read: `remember the card 4111 1111 1111 1111` is meant for the memory, which refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice.meaning import SURE, Intent, Meaning

if TYPE_CHECKING:
    from core.voice.said import Said

KEEP = Phrases("remember that, please remember that, keep in mind that, make a note that, memorise that, memorize that")
KEEP_BARE = Phrases("remember, please remember")
DROP = Phrases("forget that")
DROP_ABOUT = Phrases("forget what i said about, forget what i told you about")
LOOK = Phrases(
    "what do you remember about, what do you know about, what did i tell you to remember about, show me what you remember about"
)
ME = bag("me us")
THINGS = bag(
    "time day night morning evening one song tune film movie book game show guy girl man woman place trip summer winter party joke "
    "story feeling moment year week weekend thing"
)
"""What follows `remember that` where somebody thinks of old times."""

SUBJECTS = bag(
    "i im my we our he his she her they their it its you your the a an this these there all no every each some in on at from for "
    "to when if by with after before today everybody everyone nobody somebody"
)
"""What a statement begins with; or it is somebody's name, in capitals."""

OWNED = bag("my our the his her their")
IS = bag("is are isnt arent has have hasnt havent")
OURSELVES = bag("i we")
LASTS = bag(
    "am are like love hate prefer have need want live work cant cannot dont always never speak own drink eat take use"
)
"""What somebody says of themselves that lasts: `remember we met in Rome` is of old times."""
SOON = bag("today tonight tomorrow")
"""What is true for a day is not for long: `remember I have the dentist tomorrow at 9` is more of a reminder."""

_LEAST = 3
"""Words of a statement: `I like tea`."""

_LOOKED_AT = 500
"""Characters in which a secret is looked for: a longer text is no fact."""


def read(said: Said) -> Meaning | None:
    """Something to remember, to forget, or what is remembered."""
    start = said.start
    if (end := KEEP.at(said.words, start)) and (_states(said, end) or _is_secret(said, end)):
        return Meaning(Intent.CHAT, SURE, {}, f"/remember {said.text(end, len(said.words))}")
    if (end := KEEP_BARE.at(said.words, start)) and (_lasts(said, end) or _is_secret(said, end)):
        return Meaning(Intent.CHAT, SURE, {}, f"/remember {said.text(end, len(said.words))}")
    end = DROP.at(said.words, start)
    if (end and _states(said, end)) or ((end := DROP_ABOUT.at(said.words, start)) and said.words[end:]):
        return Meaning(Intent.CHAT, SURE, {}, f"/forget {said.text(end, len(said.words))}")
    if (end := LOOK.at(said.words, start)) and said.words[end : said.end] and ME.issuperset(said.words[end : said.end]):
        return Meaning(Intent.CHAT, SURE, {}, "/memory")
    return None


def _lasts(said: Said, at: int) -> bool:
    """Whether it is surely a statement, though no `that` is before it: `my birthday is 3 May`, `I like tea`, `I'm a vegan`."""
    who, *rest = said.words[at:] or [""]
    if not _states(said, at) or rest[0] in THINGS or not SOON.isdisjoint(rest):
        return False
    return who == "im" or (who in OURSELVES and rest[0] in LASTS) or (who in OWNED and not IS.isdisjoint(rest[1:]))


def _states(said: Said, at: int) -> bool:
    """Whether what follows is a statement, and asks nothing."""
    rest = said.words[at:]
    if len(rest) < _LEAST or said.written[-1].endswith("?") or rest[0] in THINGS:
        return False
    return rest[0] in SUBJECTS or said.written[at][:1].isupper()


def _is_secret(said: Said, at: int) -> bool:
    """Whether what follows looks like what is not kept, and is no question."""
    from core.language.secrecy import secret_in  # noqa: PLC0415 - its patterns are for who has something remembered

    asked = said.written[-1].endswith("?")
    return not asked and secret_in(said.text(at, len(said.words))[:_LOOKED_AT]) is not None
