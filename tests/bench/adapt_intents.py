"""adapt-parser at the same task, in a process of its own: learns from labelled phrases, then names intents.

Its rules are keywords. Each word and pair of words that at least two working phrases hold, at least 80 % of them of one
intent, is a keyword of that intent; an intent needs one of its keywords and takes further ones as optional, which is how
adapt weighs how much of a sentence it covers. Chat has no intent there: what matches none is chat.

Reads `{"learn": [[text, intent]], "ask": [text]}` from standard input, prints a list of intents.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections import Counter, defaultdict

from adapt.engine import IntentDeterminationEngine
from adapt.intent import IntentBuilder

SURE, SEEN = 0.8, 2


def keywords(learn: list[tuple[str, str]]) -> dict[str, set[str]]:
    """The keywords of each intent."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for text, intent in learn:
        words = plain(text).split()
        for piece in {*words, *(" ".join(pair) for pair in itertools.pairwise(words))}:
            counted[piece][intent] += 1
    found: dict[str, set[str]] = defaultdict(set)
    for piece, intents in counted.items():
        intent, times = intents.most_common(1)[0]
        if times >= SEEN and times >= SURE * intents.total() and intent != "chat":
            found[intent].add(piece)
    return found


def plain(text: str) -> str:
    """Lower case, without punctuation: adapt looks words up as they stand."""
    return " ".join(re.findall(r"[\w.'-]*\w", text.lower().replace("\u2019", "'")))


def main() -> None:
    """Learn, then answer."""
    told = json.load(sys.stdin)
    engine = IntentDeterminationEngine()
    for intent, pieces in sorted(keywords(told["learn"]).items()):
        for piece in sorted(pieces):
            engine.register_entity(piece, f"{intent}Word")
        rule = IntentBuilder(intent).require(f"{intent}Word")
        engine.register_intent_parser(rule.build())
    answers = []
    for text in told["ask"]:
        best = next(engine.determine_intent(plain(text)), None)
        answers.append(best["intent_type"] if best else "chat")
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
