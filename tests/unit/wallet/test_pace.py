"""How often somebody may do something."""

from __future__ import annotations

from core.wallet.pace import Asker, Pace, Shares


def test_a_burst_then_a_steady_pace_for_each_name() -> None:
    pace = Pace(per_minute=6, burst=2)
    assert [pace.take("ann", 0), pace.take("ann", 0), pace.take("ann", 0)] == [0, 0, 10_000]
    assert pace.take("bob", 0) == 0
    assert pace.take("ann", 9_999) == 1
    assert pace.take("ann", 10_000) == 0
    assert pace.take("ann", 10_000) == 10_000
    assert [pace.take("ann", 10**9), pace.take("ann", 10**9), pace.take("ann", 10**9)] == [0, 0, 10_000]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    pace = Pace(per_minute=6, burst=1)
    assert [pace.take("ann", 50_000), pace.take("ann", 0), pace.take("ann", 9_000)] == [0, 10_000, 1_000]


def test_only_so_many_names_are_remembered_and_the_longest_unseen_goes() -> None:
    pace = Pace(per_minute=1, burst=1, most=2)
    assert [pace.take("ann", 0), pace.take("bob", 0), pace.take("ann", 0)] == [0, 0, 60_000]
    assert pace.take("eve", 0) == 0
    assert len(pace) == 2
    assert pace.take("ann", 0) == 60_000
    assert pace.take("bob", 0) == 0


def test_a_look_takes_nothing() -> None:
    pace = Pace(per_minute=6, burst=1)
    assert [pace.wait("ann", 0), pace.wait("ann", 0), len(pace)] == [0, 0, 0]
    pace.take("ann", 0)
    assert [pace.wait("ann", 0), pace.wait("ann", 5_000), pace.wait("ann", 10_000)] == [10_000, 5_000, 0]


def asker(number: int, holds: str = "") -> Asker:
    return Asker(f"10.{number}.0.1", f"10.{number}.0.0/24", holds)


def crowd(shares: Shares, now: int, askers: list[Asker]) -> int:
    """Everybody takes what they can get; how much that is."""
    return sum(shares.take(one, now) == 0 for one in askers for _ in range(20))


def test_few_addresses_cannot_deny_all_others() -> None:
    shares, few = Shares(), [asker(number) for number in range(12)]
    for minute in range(10):
        crowd(shares, minute * 60_000, few)
        for number in range(3):
            stranger = asker(100 + 3 * minute + number)
            assert shares.take(stranger, minute * 60_000 + 1_000) == 0, (minute, number)


def test_a_network_with_many_addresses_is_a_few() -> None:
    shares = Shares()
    many = [Asker(f"2001:db8:0:{number:x}::/64", "2001:db8::/48", "") for number in range(100)]
    assert crowd(shares, 0, many) <= 32
    assert shares.take(asker(1), 0) == 0


def test_whoever_holds_a_token_that_was_paid_is_served_when_all_else_is_taken() -> None:
    shares = Shares()
    crowd(shares, 0, [asker(number) for number in range(200)])
    assert shares.take(asker(300), 0) > 0
    customer = asker(1, holds="aa")
    assert [shares.take(customer, 0) for _ in range(6)] == [0, 0, 0, 0, 0, shares.take(customer, 0)]
    assert shares.take(asker(301), 0) > 0
    assert shares.take(asker(302, holds="bb"), 0) == 0
    for number in range(100):
        crowd(shares, 0, [asker(1, holds=f"{number}")])
    assert shares.take(asker(303, holds="cc"), 0) > 0, "tokens are cheap: all of them have a share too"


def test_at_most_so_many_are_made_in_a_minute_and_memory_is_bounded() -> None:
    shares = Shares()
    many = [Asker(f"{number}", f"{number}", f"{number}" * (number % 2)) for number in range(5_000)]
    assert sum(shares.take(one, 0) == 0 for one in many) == 120
    for number in range(3):
        shares.take(many[number], number * 60_000)
    assert len(shares) < 4 * 4096
