"""What a price buys."""

from __future__ import annotations

import pytest

from bot.serving import underpaid
from core.swarm.persona import Persona

MACHINE = Persona("helm", "keeper", ("devops",), 30, (), skills=("machine",))
QUILL = Persona("quill", "writer", ("writing",), 40, (), skills=("summarise", "outline"))
FORGE = Persona("forge", "coder", ("code",), 120, ())


@pytest.mark.parametrize(
    ("price", "says"),
    [
        (39, "none of the hub's own agents does a task for 39 sats: quill asks the least, 40 sats"),
        (1, "none of the hub's own agents does a task for 1 sat: quill asks the least, 40 sats"),
        (40, ""),
    ],
)
def test_a_price_that_no_agent_works_for_is_named(price: int, says: str) -> None:
    assert underpaid(price, [FORGE, MACHINE, QUILL]) == says
    assert underpaid(price, [MACHINE]) == ""  # nobody whom strangers can have
    assert underpaid(price, [FORGE, MACHINE]).endswith("forge asks the least, 120 sats")
