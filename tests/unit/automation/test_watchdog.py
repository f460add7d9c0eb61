"""When the watchdog runs a suite: after changes, not after what the suite itself writes, and never for ever."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as some

from core.automation.verdict import Ran
from core.automation.watchdog import (
    BREAKS,
    ECHOES,
    MOST_PATHS,
    SETTLE_MS,
    Begin,
    Break,
    BrokenOff,
    Changed,
    Over,
    Say,
    Start,
    Watchdog,
    decide,
)

if TYPE_CHECKING:
    from core.automation.watchdog import Act, Event

GREEN = Ran("pytest", 1, ok=True, tests=3)
RED = Ran("make test", 1)
LATER = SETTLE_MS + 1


@dataclass
class Kennel:
    """A watchdog, what it did, and steady time."""

    dog: Watchdog = field(default_factory=Watchdog)
    now: int = 0
    runs: int = 0
    breaks: int = 0
    said: list[Say] = field(default_factory=list)

    def take(self, event: Event) -> tuple[Act, ...]:
        self.dog, acts = decide(self.dog, event)
        self.runs += sum(isinstance(act, Start) for act in acts)
        self.breaks += sum(isinstance(act, Break) for act in acts)
        self.said += [act for act in acts if isinstance(act, Say)]
        return acts

    def edit(self, *files: str, after: int = LATER, late: int = 0, gone: bool = False) -> tuple[Act, ...]:
        """News of a change comes `late` ms after it; of one that is `gone` it is not known when it was."""
        self.now += after
        heard = self.now + late
        return self.take(Changed(dict.fromkeys(files, None if gone else late), heard))

    def end(self, ran: Ran = GREEN) -> tuple[Act, ...]:
        self.now += 1000
        return self.take(Over(ran, self.now))

    def write(self, *files: str) -> None:
        """The suite writes; where that breaks it off, that is done, and it writes again."""
        while Break() in self.edit(*files, after=10):
            self.take(BrokenOff())


def begun() -> Kennel:
    found = Kennel()
    assert found.take(Begin()) == (Start(),)
    return found


def test_it_runs_at_its_start_after_a_change_and_when_it_is_time() -> None:
    dog = begun()
    assert dog.end() == ()
    assert dog.edit("a.py") == (Start(),)
    assert dog.end() == ()
    assert dog.take(Begin()) == (Start(),)
    assert dog.take(Begin()) == ()


def test_a_change_during_a_run_breaks_it_off_and_begins_anew() -> None:
    dog = begun()
    assert dog.edit("a.py") == (Break(),)
    assert dog.edit("b.py") == ()
    assert dog.take(BrokenOff()) == (Start(),)
    assert dog.dog.covers == {"a.py", "b.py"}


def test_a_run_that_is_over_before_it_could_be_broken_off_counts_and_is_followed_by_another() -> None:
    dog = begun()
    dog.edit("a.py")
    assert dog.end(RED) == (Say("red: make test failed in 1.0 s (more changed meanwhile)"), Start())
    assert dog.dog.covers == {"a.py"}


def test_who_saves_all_the_time_gets_an_answer_in_the_end() -> None:
    dog = begun()
    for number in range(BREAKS):
        assert dog.edit(f"{number}.py") == (Break(),)
        dog.take(BrokenOff())
    assert dog.edit("last.py") == ()
    said, start = dog.end(RED)
    assert (type(said), start) == (Say, Start())


def test_what_the_suite_writes_at_each_run_is_its_own_from_the_third_run_on() -> None:
    dog = begun()
    for _ in range(10):
        dog.write("out.txt")
        if dog.end() == ():
            break
    assert (dog.runs, dog.breaks) == (3, 1)
    assert dog.edit("a.py") == (Start(),)
    dog.write("out.txt")
    assert dog.end() == ()
    assert (dog.runs, dog.breaks) == (4, 1)


def test_a_change_to_what_the_suite_writes_too_counts_once_nothing_runs() -> None:
    dog = begun()
    for _ in range(2):
        dog.write("out.txt")
        dog.end()
    assert not dog.dog.running
    assert dog.edit("out.txt") == (Start(),)


def test_what_somebody_edited_between_runs_is_never_the_suites_own() -> None:
    dog = begun()
    dog.end()
    dog.edit("a.py")
    for _ in range(BREAKS):
        assert dog.edit("a.py", after=10) == (Break(),)
        dog.take(BrokenOff())
    dog.edit("a.py", after=10)
    assert Start() in dog.end()


def test_news_of_what_a_run_wrote_may_come_when_it_is_over() -> None:
    for gone in (False, True):
        dog = begun()
        for _ in range(3):
            dog.end()
            if dog.edit("out.txt", after=0, late=SETTLE_MS, gone=gone) == ():
                break
        assert dog.runs == 3


def test_who_saves_at_once_after_a_run_is_nobodys_echo() -> None:
    dog = begun()
    for number in range(10):
        dog.end()
        assert dog.edit("a.py", after=1) == (Start(),), number
    dog.end()
    dog.edit("old.py", after=SETTLE_MS + 1, gone=True)
    assert dog.runs == 12


def test_what_a_run_and_somebody_changed_comes_in_one_batch() -> None:
    dog = begun()
    for _ in range(2):
        dog.write("out.txt")
        dog.end()
    acts = dog.take(Changed({"out.txt": 500, "new.txt": 500, "a.py": 10}, dog.now + 20))
    assert acts == (Start(),)
    assert dog.dog.covers == {"a.py", "new.txt"}


def test_a_suite_that_writes_another_file_at_each_run_comes_to_rest_and_that_is_said_once() -> None:
    dog = begun()
    for number in range(100):
        if Break() in dog.edit(f"out-{number}.txt", after=10):
            dog.take(BrokenOff())
        elif Start() not in dog.end():
            break
    assert (dog.runs, dog.breaks) == (1 + BREAKS + ECHOES, BREAKS)
    (note,) = (say for say in dog.said if say.note)
    assert note.words.startswith("the tests write into the project (out-6.txt):")
    assert dog.take(Begin()) == (Start(),)
    assert dog.dog.covers == {"out-6.txt"}, "what was not looked at waits for the next run"
    dog.write("out-again.txt")
    assert dog.end() == ()
    assert dog.edit("a.py") == (Start(),), "and a change counts as ever"


def test_the_same_where_news_comes_when_the_run_is_over() -> None:
    dog = begun()
    for number in range(100):
        dog.end()
        if Start() not in dog.edit(f"out-{number}.txt", after=0, late=100):
            break
    assert dog.runs == 1 + ECHOES
    (note,) = (say for say in dog.said if say.note)
    assert note.words.startswith("the tests write into the project (out-3.txt):")


def test_a_run_in_which_nothing_changes_ends_the_count() -> None:
    dog = begun()
    for number in range(BREAKS + ECHOES + 1):
        dog.write(f"out-{number}.txt")
        dog.end()
    for _ in range(2):
        dog.take(Begin())
        dog.end()
    dog.take(Begin())
    assert (dog.dog.echoes, dog.dog.breaks, dog.dog.hushed) == (0, 0, False)


def test_what_is_remembered_is_bounded() -> None:
    dog = begun()
    for number in range(3):
        dog.end()
        dog.edit(*(f"{number}-{count}.py" for count in range(MOST_PATHS)))
    assert len(dog.dog.edited) == MOST_PATHS


def test_flaky_tests_alone_are_looked_at_again_before_anything_is_said() -> None:
    dog = begun()
    red = Ran("pytest", 1, tests=3, failed={"test_x": "no luck"})
    dog.end(red)
    dog.take(Begin())
    dog.end()
    dog.take(Begin())
    assert dog.end(red) == (Start(),)
    assert dog.end() == ()


@given(some.lists(some.sampled_from(["edit", "write", "end", "time", "same"]), max_size=60))
def test_there_is_never_more_than_one_run_and_whatever_waits_is_looked_at(steps: list[str]) -> None:
    dog = begun()
    running = 1
    for number, step in enumerate(steps):
        match step:
            case "edit" | "same":
                acts = dog.edit("a.py" if step == "same" else f"{number}.py")
            case "write":
                acts = dog.edit("out.txt", after=1)
            case "time":
                acts = dog.take(Begin())
            case _:
                if not running:
                    continue
                running -= 1
                acts = dog.take(BrokenOff()) if dog.dog.breaking else dog.end()
        running += acts.count(Start())
        assert running == dog.dog.running
    if not dog.dog.running:
        assert dog.take(Begin()) == (Start(),)
        assert not dog.dog.waits
