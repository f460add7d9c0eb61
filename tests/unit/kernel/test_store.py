"""What is written together."""

from __future__ import annotations

import asyncio

import pytest

from core.store import TURNS, gathered


def come(waiting: list[int], count: int, every: int = 1) -> None:
    """So many join, one every so many turns of the loop."""
    loop = asyncio.get_running_loop()

    def turn(left: int) -> None:
        if left % every == 0:
            waiting.append(left)
        if left > 1:
            loop.call_soon(turn, left - 1)

    loop.call_soon(turn, count * every)


@pytest.mark.parametrize("every", [1, TURNS])
async def test_who_is_about_to_join_is_waited_for(every: int) -> None:
    waiting = [0]
    come(waiting, 5, every)
    await gathered(waiting, 100)
    assert len(waiting) == 6


async def test_nobody_is_waited_for_once_enough_are_there() -> None:
    waiting = [0]
    come(waiting, 50)
    await gathered(waiting, 10)
    assert len(waiting) == 10
    await gathered(waiting, 10)
    assert len(waiting) == 10


async def test_whoever_comes_long_after_the_others_is_not_waited_for() -> None:
    waiting = [0]
    come(waiting, 2, TURNS + 2)
    await gathered(waiting, 100)
    assert len(waiting) < 3
