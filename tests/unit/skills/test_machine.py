"""helm: the machine in plain words, and no command line of anybody."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from adapters.skills.machine import judgement, machine, spoken_time

if TYPE_CHECKING:
    from tests.unit.skills.conftest import Jobs


def test_the_report_has_every_part_and_no_arguments_of_programs(job: Jobs) -> None:
    secret = "--token=canary-in-an-argument"
    with subprocess.Popen(
        [sys.executable, "-c", "input()", secret], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as other:
        text = machine(job("")).text
        other.kill()
    assert text.splitlines()[0].startswith("This machine ")
    for part in ("- Load ", "- Memory ", "- Disk ", "- Up for ", "processes; most memory: "):
        assert part in text
    assert "canary" not in text
    assert "network" not in text


def test_a_system_that_cannot_cut_skills_off_from_the_network_is_told_of(job: Jobs) -> None:
    text = machine(replace(job(""), is_cut_off=False)).text
    assert "- Skills can reach the network here: this system does not let them be cut off" in text


def test_the_numbers_of_a_disk_add_up(job: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system keeps some room for the system itself: here 30 GiB are used and 60 free of 252."""
    usage = SimpleNamespace(used=30 * 2**30, free=60 * 2**30, percent=33.3)
    monkeypatch.setattr("psutil.disk_usage", lambda _: usage)
    assert "- Disk 33 % of 90.0 GiB in use, 60.0 GiB free (where the workspace lies)" in machine(job("")).text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(30, "less than a minute"), (3_700, "1 hour 1 minute"), (200_000, "2 days 7 hours"), (86_400, "1 day")],
)
def test_time_is_spoken(seconds: float, words: str) -> None:
    assert spoken_time(seconds) == words


def test_a_fuller_disk_is_judged_harder() -> None:
    assert judgement(85, 90) == ", worth watching"
    assert judgement(91, 90) == ", worth freeing now"
