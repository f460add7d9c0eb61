"""Words that say nothing about the subject: they bind, ask, point, show or are polite.

What is left of a clause without them is its content, by which `fields.py` tells what it is about.
"""

from __future__ import annotations

from core.language.numbers import SCALES, TENS, UNITS
from core.language.words import bag

PRONOUNS = bag(
    "i me my mine we us our ours you your yours myself itself themselves it its this that these those there theres",
    "here them they their one ones im ive id ill were weve youre youve thats lets u r ya",
)
AUXILIARIES = bag(
    "am is are was be been being isnt arent do does did dont doesnt didnt have has had havent hasnt can could will",
    "would shall should may might must cant couldnt got get gets getting",
)
ASKING = bag(
    "whove whatve whod real whatever whichever what whats which who whos whose how hows where wheres when whens why",
    "whatre",
)
PREPOSITIONS = bag(
    "of on in at to for with by from about into onto over under up out off as per during since until than along",
)
DETERMINERS = bag(
    "a an the some any every each all no both either another more most much many few little lot lots bit other",
)
CONJUNCTIONS = bag("and or but so if whether because")
ADVERBS = bag(
    "old gimme wanted now right currently presently today tonight yet still already ever just only actually really",
    "again too also very quite pretty anyway maybe perhaps exactly moment this week month lately recently far then",
    "please pls kindly asap basically simply even well anyhow by chance possibly quickly quick briefly soon minute",
    "second not morning afternoon evening days",
)
SHOWING = bag(
    "show list tell give see view display checking making sure print fetch check look pull bring let know find read",
    "say name open run through update overview rundown lowdown breakdown summary summarise summarize details detail",
    "info information full brief complete whole total overall latest current recent report describe hear want wants",
    "need like wish love wondering wonder curious interested take peek glance word go ahead fill point remind",
    "enumerate going put",
)
POLITE = bag(
    "thanks thank timmy hey hi hello sorry excuse mate buddy um uh er hm oh yo kind ah so yeah could question asking",
    "confirm verify",
)
QUANTIFIERS = bag("anybody anyone everybody everyone somebody someone nobody once")
GRAMMAR = (
    QUANTIFIERS |
    PRONOUNS | AUXILIARIES | ASKING | PREPOSITIONS | DETERMINERS | CONJUNCTIONS | ADVERBS | SHOWING | POLITE
    | frozenset({*UNITS, *TENS, *SCALES, "hundred", "dozen"})
)  # fmt: skip
FINITE = bag(
    "is are was am were be been do does did have has had will would can could should may might must isnt arent dont",
    "doesnt didnt havent hasnt wont i he she they we it im ive hes shes theyre youre its thats theres ill id",
)
"""A clause without any of these is a heading: "swarm status", "the last ten payments"."""
