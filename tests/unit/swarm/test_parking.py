"""Who waits for whom."""

from __future__ import annotations

from core.swarm.parking import Parking, words


def test_a_task_waits_for_each_of_its_agents_until_one_takes_it() -> None:
    parking = Parking()
    parking.park(2, ["quill", "echo"])
    parking.park(1, ["quill"])

    assert parking.waiting_for("quill") == {1, 2}
    assert parking.waiting_for("echo") == {2}

    parking.unpark(2)
    assert parking.waiting_for("quill") == {1}
    assert not parking.waiting_for("echo")


def test_a_task_that_is_parked_again_waits_for_the_new_agents_only() -> None:
    parking = Parking()
    parking.park(1, ["quill"])
    parking.park(1, ["echo"])

    assert not parking.waiting_for("quill")
    assert parking.waiting_for("echo") == {1}


def test_whoever_joins_those_that_a_task_waits_for_does_it_once() -> None:
    parking = Parking()
    parking.park(1, ["quill"])
    parking.join(1, "echo")
    parking.join(1, "echo")

    assert parking.whom(1) == ("quill", "echo")
    assert parking.waiting_for("echo") == {1}


def test_a_task_that_nobody_here_can_do_waits_too() -> None:
    parking = Parking()
    parking.park(1, [])

    assert parking.waiting() == {1}
    assert not parking.waiting_for("quill")


def test_what_does_not_wait_can_be_told_so() -> None:
    parking = Parking()
    parking.unpark(1)

    assert not parking.waiting()


def test_whom_a_task_waits_for_is_said_in_a_few_words() -> None:
    assert words([]) == "waits for spending to go on"
    assert words(["quill"]) == "waits for quill to be free"
    assert words([f"a{n}" for n in range(7)]) == "waits for a0, a1, a2, a3, a4 and 2 more to be free"
