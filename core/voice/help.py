"""Questions on how to use the hub: they are answered by `/help`, and never act."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.language.words import Phrases, bag
from core.voice.commands import COMMANDS
from core.voice.meaning import Intent, mean
from core.voice.topics import SEE, TOPICS

if TYPE_CHECKING:
    from core.voice.meaning import Meaning
    from core.voice.said import Said
    from core.voice.topics import Topic

HOW = Phrases(
    "help me, help me to, how do i, how do we, how do you, how can i, how could i, how would i, how should i, how to",
    "how does one, how can one, how can we, how might i, how would one, how do people, how would we",
    "what is the way to, whats the way to, whats the best way to, what is the best way to, is there a way to",
    "is there any way to, show me how, tell me how, explain how, teach me how, teach me to, what do i do to",
    "what do i say to, what do i type to, what do i need to do to, what should i say to, what must i do to",
    "whats the command, what is the command, which command, what command, what do i have to do to, what happens if",
    "what happens when, what if, what would happen if, what happens to, what will happen if, what happens once",
    "what happens with, whats going to happen if, what would happen when, what would happen to, how does ... work",
    "how do ... work, i dont know how to, i do not know how to, remind me how, walk me through, guide me through",
    "show me the way to, how did i, how is, how are, suppose i, what occurs if, what occurs when, what becomes of",
    "where do i, where can i, instructions for, steps to, what are the steps to, help me understand how",
    "i want to know how to, i want to learn how to, can i know how, whats the trick to, what does it mean to",
    "what does it take to, what am i supposed to say to, how would i go about, how do i go about",
    "how should i go about, how can i go about, how does one go about, how do you go about, is there a command to",
    "is there a command for, is there a command that, whats the way of, what is the way of",
    "what is the procedure for, whats the procedure for, what is the process for, whats the process for",
    "is it hard to, which words, what words, what do i use to, what should i use to, i forgot how",
    "i forgot the command, what do i enter to, what do i write to, how exactly do, how exactly would",
    "how exactly can, what would i say to, what would i type to, what should i type to, what can i say to",
    "what can i type to, how one, explain to me how, describe how, can you explain how, tell me about how",
    "im not sure how to, i am not sure how to, not sure how to, i have no idea how to, no idea how to",
    "whats involved in, what is involved in, any tips on, tips for, do you know how to, do you know how i",
    "could you explain how, steps for, show how to, tell me the way to, i need to know how, i need help",
    "i could use help, i keep forgetting how, i cant remember how to, i cannot remember how to",
    "i dont remember how to, i forget how to, is it possible for me to, what has to be done to",
    "what needs to be done to, what do you need from me to, what do we do to, what do we say to, the command to",
    "the command for, the right way to, the proper way to, the correct way to, a guide to, a guide on",
    "teach me about, teach me, wheres the command, how come i cant, why cant i, whats needed to, what is needed to",
    "whats required to, what is required to, how is it that i, what would it take to",
)
ABOUT = Phrases(
    "help with the, help with, help on the, help on, help for, help about, help me with the, help me with",
    "usage of the, usage of, usage for, usage, syntax for the, syntax for, syntax of the, syntax of, explain the",
    "explain, how do i use the, how do i use, how does the, how does, what does the, what does, what do",
    "arguments does the, arguments does, parameters does, options does, arguments for, options for, manual for",
    "documentation for, documentation of, docs for, meaning of the, describe the, describe, tell me about the",
    "how to use the, how to use, help, more about the, instructions for, whats the, what is the, about the",
    "explain to me the, examples of, example of, example for, an example of, details on the, info on the",
    "how can i use the, how can i use, does the, man, what are the options of, what are the arguments of, does",
    "used for the, works the",
)
COMMAND_FOLLOWS = bag(
    "command take takes do does show shows work works mean means need needs expect expects accept accepts option",
    "options give gives for want print return used usage syntax",
)
BARE = Phrases(
    "what do i say to you, i dont understand how this works, i dont understand how you work",
    "i dont know how this works, i dont know how you work, i dont get how this works, tell me everything you can do",
    "name everything you can do, i dont understand this, how does one start, what should i ask you",
    "what do i ask you, what should i type, what do i type, what am i supposed to do, what am i supposed to say",
    "what are the things you can, what tricks do you, which things can you, what sorts of things can you",
    "what stuff can you, what are you programmed to do, whats in your repertoire, whats your purpose",
    "what is your purpose, whats your function, what is your function, what are your powers",
    "a list of what you can do, list of what you can do, i need some guidance, i need guidance, guidance",
    "some guidance, give me some guidance, i need instructions, give me instructions, i need a hint, give me a hint",
    "some pointers, give me some pointers, a list of everything you can do, what are you capable of doing",
    "list everything you can do, show me everything you can do, everything you can do, list what you can do",
    "show me what you can do, any documentation, how can i talk to you, how should i talk to you, show me the ropes",
    "what do i do now, what now, what are you good at, what are you good for, what are you useful for",
    "what can i use you for, what could you do, what would you be able to do, how can i use you, how could you help",
    "how could i use you, what can we do, what may i ask, what may i say, what could i say, what can i type",
    "where do i start, where do i begin, where should i start, get me started, teach me how to use",
    "show me how to use, explain how to use, tell me how to use, explain yourself, introduce yourself",
    "tell me what you do, what is it you do, what exactly do you do, what can i get you to do",
    "what can i have you do, what can timmy do, what does timmy do, what can the hub do, what does the hub do",
    "how do i operate you, how do i operate this, how does one use you, how do people use you",
    "i have no idea what to do, i dont know what to say, i dont know what to do, i dont know what i can, help wanted",
    "sos, more help, some assistance, what functions do you, which functions do you, which features do you",
    "what abilities do you, what are your functions, how should i use you, how should i use this, how do i use timmy",
    "i dont know how to use, i do not know how to use, how to use you, how to use this, how to use the hub",
    "how to use timmy, how this works, how you work, is there a manual, is there any help, give me some help",
    "give me help, some help, help, help me, i need help, i need some help, need help, what can you do",
    "what are you able to do, what commands are there, which commands are there, show me the manual, the manual",
    "how do i use you, how do i use this, how does this work, how do you work, what are my options",
    "what sort of things can you, what kind of things can you, what can i do, what can i say, what can i ask",
    "what do you do, what are you for, list the commands, list commands, list all commands, show the commands",
    "show me the commands, show commands, commands, all commands, list of commands, what are the commands",
    "what commands do you, which commands do you, what commands can i, which commands can i, help me out",
    "give me a hand, how can you help, what can you help, how do i get started, how do i start, getting started",
    "instructions, user manual, the user guide, show me the help, open the help, help menu, help page, show help",
    "what are your commands, your commands, what are your abilities, what are your features, what are your skills",
    "what features do you, your capabilities, how do i talk to you, what things can you, what do you understand",
    "what do you know how to do, what else can you do, what all can you do, how does all this work, how does it work",
    "how does the hub work, how does timmy work, how do i work with you, command list, available commands",
    "what are your capabilities, what is possible here, what are you capable of, im lost, i am lost",
    "what should i say, how may i use you, tell me what you can do, whats possible, tour, cheat sheet, the commands",
    "what do you offer, what services, who can help me with the hub, i could use some help, assist me",
    "i could use a hand, i need a hand, i need assistance",
)
FILLER = bag(
    "will would so else more just then really actually currently me doing sort kinds capable of be for timmy here",
    "now out please with this you can do today all everything on know is are there i in tell us able handle to",
    "understand support have use need the hub help commands anyway hello your offer could say ask things type work",
    "again thing exactly these",
)
UNSURE = bag("lost stuck confused unsure dont")

NAMED = {
    "dismiss": bag("dismiss fire remove rid kick stop sack"),
    "spawn": bag("spawn add hire start launch"),
    "agent": bag(SEE, "ask"),
}
WORLD = bag(
    "linux excel france windows python school bank android iphone word boss wife husband kids email house car",
    "kitchen mac photoshop garden",
)

SENTENCES = bag("whats what explain describe does do more about")
SUPPOSED = Phrases(
    "what happens then, what happens next, what would happen, what will happen, what follows, what was the command",
    "what happens if, what would happen if, what will happen if, what if i, what happens when i",
)
HELP_WITH = Phrases("help with, help on, help about, help me with")
ASKERS = bag("i we one you to command somebody someone")
QUESTION_WORDS = bag("show tell know")


def read(said: Said) -> Meaning | None:
    """A question on the use of the hub, on one command or at large."""
    if said.reported and not HOW.at(said.words, said.start):
        return None
    command = _typed(said) or _named(said)
    if command is None and not _bare(said):
        command = _asked(said)
    if command is None:
        return mean(said, Intent.HELP, "/help") if _bare(said) else None
    return mean(said, Intent.HELP, f"/help {command}", target_file="", amount_sats="")


def _typed(said: Said) -> str | None:
    """`how do I use /at`, `what does /limits show`."""
    typed = next((word[1:] for word in said.words if word[:1] == "/" and word[1:] in COMMANDS), None)
    return typed if typed and (said.asks or HOW.at(said.words, said.start) or ABOUT.find(said.words)) else None


def _named(said: Said) -> str | None:
    """`explain the award command`, `usage of reject`, `help spawn`."""
    found = ABOUT.find(said.words, 0)
    while found:
        name = said.words[found[1]] if found[1] < said.end else ""
        after = said.words[found[1] + 1 : found[1] + 2]
        ends = found[1] + 1 >= said.end and said.words[found[0]] not in SENTENCES
        name = name if name in COMMANDS else name.removesuffix("s")
        if name in COMMANDS and (ends or (COMMAND_FOLLOWS.issuperset(after) and after)):
            return name
        found = ABOUT.find(said.words, found[0] + 1)
    return None


def _bare(said: Said) -> bool:
    """`help`, `what can you do`: and nothing else of weight."""
    if said.plain and BARE.at(said.plain, said.start) == len(said.plain):
        return True
    if said.bag.isdisjoint(BARE.firsts):
        return False
    for start in (0, *said.starts):
        end = BARE.at(said.words, start)
        if end:
            rest = said.words[end : said.end]
            unsure = said.words[start] in {"help", "i"} and not UNSURE.isdisjoint(rest) and rest[0] != "with"
            if unsure or FILLER.issuperset(rest):
                return True
    return False


def _asked(said: Said) -> str | None:
    """`how do I cancel a task`, `what happens if I dismiss quill`: the command whose words are said."""
    if HELP_WITH.at(said.words, said.start) and said.end - said.start <= 5:  # noqa: PLR2004
        return next((topic.command for topic in TOPICS if said.has(topic.verbs) and not topic.nouns), None)
    if said.bag.isdisjoint(HOW.firsts):
        return None
    how = next((end for start in (0, said.start, *said.starts) if (end := HOW.at(said.words, start))), 0)
    how = how or said.says(SUPPOSED)
    if (
        not how
        or said.has(WORLD)
        or not (said.bag & ASKERS or said.first == "help" or "work" in said.bag or "works" in said.bag)
    ):
        return None
    for topic in TOPICS:
        if (
            said.has(topic.verbs)
            and (not topic.nouns or said.has(topic.nouns) or (said.tasks and "task" in topic.nouns))
            and not _only_asking(said, topic)
        ):
            return topic.command
    if said.people and said.has(bag("pay send tip transfer give")):
        return "pay"
    return next((name for name, verbs in NAMED.items() if said.names and said.has(verbs)), None)


def _only_asking(said: Said, topic: Topic) -> bool:
    """Whether the verb is only that of the question: "show me how to list tasks" shows nothing."""
    return (
        said.bag & topic.verbs <= QUESTION_WORDS and said.words[said.start] in QUESTION_WORDS and "see" not in said.bag
    )
