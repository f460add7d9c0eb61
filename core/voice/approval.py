"""Yes or no: to the one thing that is pending, or to an id such as A-12 (a12 and a7k are read too)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.language.words import Phrases, bag, split
from core.voice.meaning import SURE, Intent, mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.voice.meaning import Meaning
    from core.voice.said import Said

YES = Phrases(
    "id say go for it, id say go ahead, i say go for it, i say go ahead, i say do it, id say do it",
    "the answer is yes, the answer is a yes, thats confirmed, its confirmed, i give my consent, i consent",
    "you have my consent, its fine by me, its ok with me, its okay with me, its fine with me, it is fine by me",
    "consent given, you have permission, you have approval, make it happen, let it be, let it be so, so be it",
    "its allowed, i permit it, i will allow it, ill allow it, ill allow that, i will allow that",
    "i can live with that, you are cleared, cleared, all clear, i concur, count me in, it looks good, looks fine",
    "looks fine to me, that looks good, that looks fine, it is ok, its ok, its okay, its fine, it is fine",
    "please do so, do, do so, please go ahead, yes, yeah, yep, yup, sure, ok, okay, confirm, confirmed, approve",
    "approved, go ahead, go for it, do it, do that, proceed, sounds good, permission granted, granted, absolutely",
    "of course, definitely, alright, agreed, i agree, i approve, i confirm, thats fine, fine, affirmative",
    "by all means, make it so, that is fine, sure thing, approve it, approve that, confirm it, confirm that",
    "it is approved, its approved, thats approved, certainly, aye, looks good, lgtm, you may, you can go ahead",
    "please do, go on, correct, thats right, carry on, continue, please, sounds fine, works for me",
    "im fine with that, im ok with that, you have my permission, you have my approval, you have my blessing",
    "permission given, yes please, yea, accepted, fine by me, good to go, all good, perfect, great, that works",
    "i say yes, my answer is yes, allow it, allow that, green light, ye, by me, with me, to me, for me, from me",
    "i am ok with that, i am okay with that, i am fine with that, im okay with that, im happy with that",
    "i am happy with that, thats ok, thats okay, thats good, thats great, that is ok, that is okay, thats alright",
    "thats all right, you have my ok, you have my okay, consider it approved, i give my approval, all right",
    "i give my permission, i give permission, i accept, i authorise it, i authorize it, i authorise that",
    "i authorize that, i say go, go, let it through, let it pass, let it go through, i have no objection",
    "no objection, no objections, i approve of it, i approve of that, i am for it, im for it, i am in favour",
    "im all for it, ship it, send it, roger, roger that, very well, ok do it, be my guest, sounds like a plan",
    "i said yes, its a yes, thats a yes, it is a yes, that is a yes, a yes, big yes, totally, yessir, yes sir",
    "yes of course, for sure, you bet, why not, you got it, i am good with that, im good with that, good with that",
    "okay with that, ok with that, fine with that, fine with me, cool with me, permitted, authorised, authorized",
    "you are allowed to, you have the ok, you can do it, you can do that, you may do it, you may do that",
    "you can proceed, you may proceed, i am on board, indeed, exactly, thats correct, yes i do, yes i am, yes it is",
    "sure do, yes you may, yes you can, you are good to go, youre good to go, green light it, i green light it",
    "i give it the green light, uh huh, thumbs up, let it happen, id say yes, i allow it, go right ahead",
)
NO = Phrases(
    "the answer is no, the answer is a no, i am not approving that, im not approving that, im not approving it",
    "i refuse permission, i withhold approval, its denied, it is denied, thats denied, its declined, its rejected",
    "it is rejected, thats rejected, i reject it, i reject that, i deny that, i decline that, i refuse that",
    "i refuse it, consent denied, access denied, dont you dare, dont you do it, do not dare, i forbid it",
    "i forbid that, forbidden, disallow it, disallow that, i disallow it, i disallow that, i disapprove",
    "let it not happen, cancel it, cancel that, call it off, abort, abort it, abort that, scrap it, scrap that",
    "kill it, kill that, no permission, you dont have my permission, you do not have my permission",
    "you dont have permission, you do not have permission, thats not fine, that is not fine, thats not acceptable",
    "no, nope, nah, never, no way, absolutely not, definitely not, certainly not, of course not, deny, denied",
    "decline, declined, refuse, refused, dont do it, dont do that, do not do it, do not do that, negative, not now",
    "dont, deny it, deny that, decline it, decline that, refuse it, refuse that, i refuse, i decline, i deny it",
    "permission denied, rejected, reject it, reject that, i disagree, not a chance, no chance, please dont, please",
    "dont approve it, dont approve that, do not approve it, do not, i dont approve, no thanks, not ok, not okay",
    "disapproved, no thank you, stop, forget it, out of the question, rather not, id rather not, hell no, better not",
    "i say no, my answer is no, not today, not really, dont allow it, dont allow that, dont go ahead, do not proceed",
    "dont proceed, no deal, veto, under no circumstances, id say no, not this time, nay, not happening",
    "id rather you didnt, i would rather you didnt, rather you didnt, id rather you did not, id prefer not",
    "by no means, i would prefer not, no sir, nope nope, not at all, not a good idea, bad idea, i am against it",
    "im against it, nuh uh, i object, i veto it, i veto that, i am not ok with that, im not ok with that",
    "i am not okay with that, hold off, im not okay with that, thats not ok, thats not okay, not going to happen",
    "no go, no dice, its a no, it is a no, that is a no, a no, big no, block it, block that, stop it, stop that",
    "i wont allow it, i will not allow it, leave it, i wont allow that, dont let it happen, dont let it through",
    "do not let it through, i cant approve that, no to that, i cannot approve that, i cant allow that",
    "i dont think so, i think not, i dont want that, i dont want it, not for me, you may not, you cant, you can not",
    "you are not allowed to, not allowed, no you may not, no you cant, i would say no, permission refused",
    "approval denied, i dont agree, i do not agree, i dont accept, i dont accept that, not by me, absolutely no",
    "never ever, over my dead body, not on my watch, not with me, pass on that, i said no, lets not, lets not do it",
    "lets not do that, please no, not interested, not this, hold it, hard no, hard pass, i do not approve, reject",
    "thumbs down, thats a no, not yet, request denied",
)
POLITE = bag("hmm mm mhm ah ehm umm uhm now thanks timmy please uh um hey oh well then it that so pls er hm")
APPROVE = bag(
    "approving confirming accepting granting allowing approve approved approval confirm confirmed yes yeah yep ok",
    "okay allow allowed permit accept grant granted sure authorise authorize through consent permitted permission",
    "happy let cleared accepted agree fine authorised authorized agreed proceed allows pass clear sign ahead",
)
DENY = bag(
    "denying declining refusing rejecting blocking deny denied decline declined refuse refused reject rejected no",
    "nope disallow block denial veto forbid turn disallowed prohibit forbidden vetoed blocked disapprove stop nah",
    "refusal declines cancel",
)
SMALL = POLITE - {"it", "that", "so", "please", "now"}
LONGEST = 14
"""A bare yes or no has no more words."""
NEGATED = bag("dont not never wont cant cannot wouldnt shouldnt")
PENDING = bag(
    "request requests pending payment payments spend spending transfer transaction one number id action item code",
    "entry absolutely definitely course certainly good great perfect happen way thumbs green light blessing",
    "objection objections looks sounds works problem goes turned down pass passes stays stay blocked given gets",
    "answer vote against favour favor support back want refusing hell",
)
PLAINLY = bag(
    "approve approved approving approval deny denied denying confirm confirmed reject rejected decline declined",
    "request",
)
ID = re.compile(r"a-?[1-9][0-9]{0,8}|(?!t[0-9]+$)(?![a-z]+$)[a-z][a-z0-9]{2}")
"""`A-12`, `a12`; or three letters and digits that begin with a letter, such as `a7k`, and not `t12`."""


def read(said: Said) -> Meaning | None:
    """Yes or no to an id; of several, nobody can tell which is meant."""
    ids = list(dict.fromkeys(word for word in said.words if ID.fullmatch(word)))
    identified = ids[0] if ids else None
    if identified is None or said.reported or said.asks_first or _is_elsewhere(said, identified):
        return None
    named = identified.upper() if "-" in identified else identified
    if len(ids) > 1 or (said.has(NEGATED) and said.has(APPROVE)):
        return mean(said, Intent.APPROVAL)
    if said.has(DENY):
        return mean(said, Intent.APPROVAL, f"/deny {named}")
    if said.has(APPROVE):
        return mean(said, Intent.APPROVAL, f"/approve {named}")
    return None


def _is_elsewhere(said: Said, identified: str) -> bool:
    """`a4a paper is fine`, `mp3 is ok`: words of something else, or what only looks like an id."""
    foreign = said.content - {identified} - APPROVE - DENY - PENDING
    usual = "-" in identified or (identified[1].isdigit() and identified[-1].isalpha())
    return len(foreign) > 2 * (not said.bag.isdisjoint(PLAINLY)) or (not usual and said.bag.isdisjoint(PLAINLY))


def read_bare(said: Said) -> Meaning | None:
    """Yes or no, and nothing else."""
    bare = _is_letter(said.written, "y", "n") or _says(said.words, YES) or _says(said.words, NO)
    return mean(said, Intent.APPROVAL, sure=SURE) if bare else None


def answer(text: str) -> bool | None:
    """A bare yes or no; None for what is neither, though it may speak of an approval."""
    words, written = split(text)
    if _is_letter(written, "y") or _says(words, YES):
        return True
    return False if _is_letter(written, "n") or _says(words, NO) else None


def _is_letter(written: Sequence[str], *letters: str) -> bool:
    """`y`, `N.`: the letter alone. `y?` asks why, and `(y)` is a picture."""
    return len(written) == 1 and written[0].lower().rstrip(".!") in letters


def _says(said: Sequence[str], phrases: Phrases) -> bool:
    if len(said) > LONGEST or phrases.firsts.isdisjoint(said):
        return False
    words = [word for word in said if word not in POLITE]
    plain = [word for word in said if word not in SMALL]
    return bool(words) and (phrases.covers(plain) or phrases.covers(words))
