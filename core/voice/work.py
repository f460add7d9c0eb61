"""The words by which work is given out: who is asked, how, and the verbs of what agents do."""

from __future__ import annotations

from core.language.words import Phrases, bag

VERBS = bag(
    "write draw make build create compose design summarise summarize translate find research check scan audit review",
    "analyse analyze plot chart draft paint record edit fix look list count sort compare explain forecast predict",
    "calculate compute clean convert search investigate deploy restart monitor test refactor port generate produce",
    "render film cut sing proofread polish rewrite outline sketch illustrate animate collect gather prepare plan set",
    "run read describe extract tally estimate measure figure work dig tell give show put turn do help come code",
    "implement add back rotate update upgrade install harden lock secure patch tidy rank label tag name pick choose",
    "suggest propose brainstorm transcribe caption shorten expand merge split crop resize colour color mix master",
    "remix score arrange storyboard shoot trim verify validate examine inspect study track organise organize format",
    "print export import download upload fetch get keep take start finish solve crack answer report",
)
MORE_VERBS = bag(
    "bump pin unpin push pull rebase squash mow groom style theme localise stage seed swap toggle enable disable",
    "pause hook rename archive vote remove digitise renew retouch buy water handle call crunch repaint paint redo",
    "order book schedule shop reserve contact email phone text message ring reply respond notify remind chase",
    "negotiate arrange organise tidy clear empty wash cook bake deliver ship pack unpack move carry load fill refill",
    "replace restore recover wipe delete erase purge prune sweep dust iron feed walk babysit drive assemble mount",
    "hang wire solder weld drill bolt glue sew knit stitch fold cover map sample simulate model train evaluate",
    "benchmark profile trace debug lint compile package publish release launch host migrate provision configure",
    "reboot rebuild revert roll scale shard index query scrape crawl parse encode decode encrypt decrypt sign hash",
    "compress unzip zip stream record narrate dub subtitle annotate cite quote reference footnote survey poll",
    "interview quiz grade mark score assess audit appraise value price budget reconcile invoice bill balance file",
    "sort shelve catalogue catalog inventory tag scrub dedupe deduplicate match group pivot chart graph visualise",
    "visualize dig hunt spot locate identify detect diagnose troubleshoot resolve settle sketch doodle ink shade",
    "frame crop touch blend layer engrave carve sculpt photograph shoot film edit splice caption hum whistle strum",
    "tune loop teach tutor coach mentor present pitch demo showcase advertise promote market brand design lay",
    "typeset bind copyedit double-check doublecheck recheck look see-to deal take get find have-a-look work write up",
    "fact cross-check spell-check pick fetch grab bring drop send post forward pass hand give share upload print",
    "scan copy paste duplicate back sync mirror brainstorm imagine dream invent devise concoct prototype mock",
    "storyboard script rehearse perform act read proof spellcheck decorate furnish plaster tile measure inspect",
    "patrol guard watch monitor keep maintain service oil grease vet screen shortlist hire onboard scout recruit",
    "source procure purchase subscribe register enrol enroll apply submit convert turn change adapt adjust tweak",
    "trim shorten lengthen condense abridge paraphrase reword rephrase rewrite",
)
AFTER_NOUN = Phrases(
    "posted to, posted, created, out of this, out of the following, of this, as follows, out there, up, out",
    "on the board, done, for to, to, for, called, named, that says, that, which, saying, titled, about",
    "with the description, of, for the workers, for the agents, for the swarm, for somebody, for someone, for anyone",
    "for an agent, for a worker, to the swarm, in the swarm, is to, will be to, described as, with the title",
    "on the task board, on the market, where somebody has to, where someone has to, where you, in which, doing",
    "to be done, namely, asking for, asking somebody to, asking someone to",
)
SOMEBODY = Phrases(
    "somebody, someone, anyone, anybody, an agent, a worker, one of the agents, one of the workers, the agents",
    "the swarm, the workers, some agent, any agent, agents, workers, whoever, a bot, one of our agents",
    "one of my agents, some worker, another agent, another worker, my agents, our agents, the team, any worker",
    "one of the bots, the right agent, the best agent, our swarm, my swarm, a free agent, an idle agent",
    "a free worker, people, any of the agents, any of the workers, the bots, my workers, our workers, the crew",
    "some of the agents, one agent, one worker, everyone",
)
WHERE = Phrases(
    "in the swarm, from the swarm, of the swarm, on the team, here, out there, in there, of you, of the team, around",
    "else, who is free",
)
CAUSE = Phrases(
    "id love it if, i would love it if, id like it if, i would like it if, i want it so that, id be happy if",
    "i would be happy if, it would help if, itd help if, it would be good if, itd be good if, it would be lovely if",
    "itd be lovely if, it would be wonderful if, it would be awesome if, i wish, if only",
    "would it be possible to have, would it be possible to get, is it possible to get, is it possible to have",
    "see about getting, arrange for, organise for, organize for, set up, line up, rope in, task out, find me, is",
    "have, get, ask, tell, let, need, want, find, hire, order, instruct, set, put, assign, could use, commission",
    "pay, i need, i want, we need, id like, i would like, like, id love, wed like, id want, want to have",
    "want to see, request, we want, would like, make, use, task, direct, employ, i would want, i need to find",
    "looking for, im looking for, i am looking for, i could use, there should be, call on, is there, see if",
    "see whether, check whether, check if, go get, get hold of, check with, do we have, do you have, do you know",
    "ask if, ask whether, have it done by, get it done by, have this done by, get this done by, delegate to, charge",
    "bid, invite, prompt, message, ping, notify, remind, nudge, talk to, i could do with, we could use",
    "we could do with, id appreciate it if, i would appreciate it if, id be glad if, i would be glad if",
    "it would be great if, itd be great if, it would be nice if, itd be nice if, how about, what about, why not let",
    "why not have, why dont we have, i was hoping, hoping, i hope, id prefer, i would prefer, delegate it to",
    "delegate this to, outsource to, outsource this to, hand this to, leave it to, leave this to, give this to",
    "pass this to, send this to, assign this to, forward this to, this is for, this goes to, one for, heres one for",
    "here is one for, something for, over to, tag, dispatch, deploy, send, enlist, recruit",
)
TO = Phrases(
    "kindly, please kindly, to, on, to please, who can, who could, that can, that could, to go and, working on, for",
    "can, could, who will, about, onto, to work on, to start, please, with, who would, to do some, able to",
    "willing to, up for, whod, wholl, whos able to, that would, thatd, whos free to, whos willing to, whos good at",
    "free to, that will, to come and, i need, we need, that i need, that we need, i want, we want, i would like",
    "id like, that i want, that id like, we would like, who might, who is able to, who knows how to, capable of",
    "good enough to, to maybe, to quickly, to just, to have a go at, to take a stab at, to try to, to try and",
    "to see if they can, to see if it can, who wants to, who would like to, to kindly, to then, if they can",
    "if it can, if she can, if he can, if they could, if it could, whether they can, whether it can",
    "that they should, that it should, he should, she should, it should, they should, that we require, on the job of",
    "onto the job of, up with, the job of, the task of, the job to, the task to, with the task of, with the job of",
)
SHOULD = Phrases(
    "should, must, needs to, need to, has to, have to, can, could, please, would you, will you, ought to, shall",
    "is to, can you, could you, would you please, can you please, could you please, i need you to, id like you to",
    "i want you to, kindly, may, might, will, are to, please can you, should please, would, please could you",
    "i would like you to, you should, you need to, you can, you could, you have to, you must, its your job to",
    "gets to, may now",
)
WANT = Phrases(
    "who can, who could, who wants to, who would, who will, who is able to, who would like to, who is up for",
    "please can i have, we require, could we get, could we have, can we get, can we have, may we have",
    "im looking for, i am looking for, i have to have, i must have, my wish is, what i need is, what i want is",
    "all i need is, lets have, let me have, i need, i want, id like, i would like, we need, i could use, could i get",
    "can i get, can i have, could i have, may i have, wed like, we want, commission, order, id love, need, want",
    "get me, we would like, i require, i am after, im after, i still need, i also need",
)
DELEGATE = Phrases(
    "delegate, outsource, subcontract, farm out, hand off, hand out, pass off, pass on, leave, entrust, offload",
    "contract out, delegate the job of, delegate the task of, outsource the job of, outsource the task of",
    "hand the job of, give the job of, give the task of, hand the task of, pass the job of, pass the task of",
    "leave the job of, hand over",
)
