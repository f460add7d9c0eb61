"""The words that stand around a request and say nothing of what is wanted: frames, politeness, questions, what asks to see."""

from __future__ import annotations

from core.language.words import Phrases, bag

FRAME = Phrases(
    "ugh, whatever you do, no wait, lemme, argh, huh, right then, alrighty, howdy, greetings, gday, eh, listen up",
    "quick one, one thing, one more thing, another thing, by the way, btw, fyi, in that case, all right, sorry",
    "excuse me, pardon me, im new here, im new, i am new here, i am new, im lost, i am lost, im stuck, i am stuck",
    "im confused, if i may, i am confused, when you get a chance, when you have a moment, if you have a moment",
    "if you have time, if you dont mind, if its not too much trouble, be a dear and, be a good bot and, be a pal and",
    "do me a favour, do me a favor, id appreciate it if you could, i would appreciate it if you could",
    "it would be great if you could, it would be lovely if you could, itd be great if you could",
    "it would be nice if you could, it would be good if you could, itd be nice if you could",
    "id be grateful if you could, would you care to, would it be ok to, would it be okay to, is it ok to",
    "is it okay to, i was hoping you could, i was hoping to, hoping you could, its high time to, i think its time to",
    "i think it is time to, it is time to, i suggest you, i suggest we, i propose we, i vote we, lets go ahead and",
    "you might want to, you may want to, you might, we might, might you, could we maybe, can we please",
    "can you please, i thought we could, i think we can, i think you can, i think i should, i suppose we should",
    "i feel we should, i insist you, i order you to, i command you to, i ask you to, i beg you to, im asking you to",
    "i am asking you to, see to it that you, dont forget to, remember to, for the love of god, for gods sake",
    "for heavens sake, honestly, seriously, basically, literally, obviously, first, first of all, second, next",
    "finally, then again, at last, as soon as possible, asap, immediately, right away, straight away, at once, today",
    "i would be happy to, id be happy to, im happy to, i am happy to, i am willing to, im willing to",
    "i am prepared to, im prepared to, i would be willing to, id be willing to, i am ready to, im ready to",
    "im here to, i am here to, i came to, how do you feel about, im trying to, i am trying to, trying to",
    "im looking to, i am looking to, looking to, i intend to, i plan to, i mean to, i meant to, hypothetically",
    "theoretically, just checking, just wondering, im curious, quick question, question, timmy, hey, hi, hello, yo",
    "uh, um, er, erm, hm, hmm, oh, ah, ok, okay, so, well, now, right, alright, please, pls, kindly, and, then, but",
    "just, also, maybe, perhaps, actually, quickly, good morning timmy, good evening timmy, good afternoon timmy",
    "dear, listen, can you, could you, would you, will you, can u, could u, can we, could we, can i, could i, may i",
    "might i, shall we, should we, you can, you could, you may, you should, you need to, you have to, you must",
    "we should, we can, we could, we need to, we want to, i want to, i want you to, i wanna, i need to",
    "i need you to, i would like to, i would like you to, id like to, id like you to, i wish to, i have to",
    "i do want you to, i do want to, we would like to, wed like to, id love to, id love you to, id want you to",
    "i wonder, i was wondering, im wondering, lets, let us, let me, let us just, ill, i will, i shall, i am going to",
    "im going to, im gonna, i think, i guess, i think we should, i think you should, go ahead and, go and",
    "feel free to, make sure to, make sure you, be sure to, be so kind as to, do me a favour and, do me a favor and",
    "would you mind, if you can, if you could, if possible, try to, time to, its time to, for me, hold on, wait",
    "hey there, hi there, hello there, cool, yes, yeah, sure, i decided to, i have decided to, ive decided to",
    "you know what, anyway, buddy, mate, is it possible to, is it possible for you to, would it be possible to",
    "are you able to, i was wondering if you could, emergency, urgent, i was wondering if you can",
    "any chance you could, any chance you can, any chance of, never mind, happy to, happily, lastly, quick",
    "could you maybe, can you maybe, would you be able to, would you be so kind as to, how about we, how about you",
    "why dont you, why dont we, i really want to, i really need to, id really like to, i just want to",
    "i just need to",
)
MINE = Phrases("im, i am, we are, i, we, i do, i hereby, i now, id, my")
"""What may still stand before a verb that does what it says: "I accept task 12", "I'd bid 40"."""
TRAILING = Phrases(
    "please, pls, thanks, thank you, timmy, will you, would you, can you, could you, cheers, ta, if you can",
    "if you could, if possible, if you dont mind, ok, okay, thx, would you kindly, if you would, mate, buddy, yeah",
    "many thanks, thank you very much",
)
QUESTION = bag(
    "what whats which who whos whose how hows where wheres when why is are was were did does do has had any anything",
    "whove whatever whichever anyone am isnt arent whatre hasnt havent didnt doesnt",
)
STATED = bag(
    "i he she they we it its my his her their our your people nobody everybody everyone the that this these those",
    "there theres im ive hes shes theyre youre thats id you a an somebody someone",
)
REPORTED = Phrases(
    "said, says, told, tells, asked me, asks me, heard, thinks, dreamt, dreamed, reckons, claims, claimed, mentioned",
    "wrote, believes, remember when, used to, yesterday, last week, last year, last month, last night, the other day",
    "ago, wonders, wondered, complained, was, were, had, i thought, thought, promised, wanted me, wanted us",
    "wanted to, wants me, reminds me of, always says, tried to, refused to, hates, loves",
)
CHECKING = Phrases(
    "just checking, checking, just making sure, making sure, i wonder if, i wonder whether, just wanted to know",
    "wanted to know, want to know, just wanted to check, wanted to check, just wanted to see if, wanted to see if",
    "just wanted to make sure, to make sure, just want to know, i want to know, i just want to know",
    "i want to be sure, just curious, curious, just curious if, curious if, i need to know, i need to know if",
    "i was wondering if, i was wondering whether, wondering if, wondering whether, i hope, hope, double checking",
    "just to be sure, im wondering if, im checking, i am checking, i just wanted to know, i just wanted to check",
)
SHOW = Phrases(
    "confirm that, confirm youre, confirm you, confirm whether, confirm if, verify, verify that, verify whether",
    "establish whether, compare, compare the, weigh up, rank, gimme, lemme see, lemme know, lemme have, have i",
    "have i got, have we got, am i, are we, do i, do we, got any, got, checking, checking if, checking that",
    "checking whether, just making sure, making sure, i wonder how, i wonder if, i wonder whether, curious, see how",
    "see what, see who, see which, see if, see whether, ask how, i wonder what, learn, understand, i wonder who",
    "care to tell me, mind telling me, fetch me, grab, grab me, hit me with, i forgot, throw up, lets have, run down",
    "point me to, talk me through, break down, wheres, where is, keen to see, name all, name the, name every, show",
    "show me, list, display, see, view, print, check, check on, tell me, tell us, give me, let me see, pull up",
    "look up, look at, bring up, get me, fetch, read me, read out, let me know, i need, i want, id like",
    "i would like, have a look at, take a look at, do we have, have there, have we, have you, have any, have the",
    "do i have, check up on, look into, open, whats, what is, what are, hows, how is, how are, let me look at",
    "give us, find me, know, hear about, show us, have a peek at, peek at, go over, go through, list out, know about",
    "know more about, hear, find out, report, report on, inspect, update me on, brief me on, fill me in on",
    "id like to know, query, describe, enumerate, count the, count my, count all, how many, overview of, details of",
    "details on, info on, status of, know if, know whether, an update on, update on, a list of, just, only, anything",
    "any, describe to me, run through, remind me of, could i get, get, a look at, state of",
)
