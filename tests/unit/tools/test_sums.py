"""Sums come out exact, and none takes long."""

from __future__ import annotations

import pytest

from adapters.tools.sums import BadSum, worked_out


@pytest.mark.parametrize(
    ("written", "result"),
    [
        ("1 + 2*3", "7"),
        ("0.1 + 0.2", "0.3"),
        ("19.99 * 3", "59.97"),
        ("7/2", "3.5"),
        ("6/3", "2"),
        ("1/3", "0.33333333333333333333 (rounded)"),
        ("2**100", str(2**100)),
        ("2^10", "1024"),
        ("2\u00d73 \u2212 8\u00f74", "4"),
        ("sqrt(144)", "12"),
        ("sqrt(2)", "1.4142135623730950488 (rounded)"),
        ("factorial(20)", "2432902008176640000"),
        ("1,250,000 / 4", "312500"),
        ("max(1,200)", "200"),
        ("max(3, 7.5) - min(2, 4)", "5.5"),
        ("round(2.675, 2)", "2.68"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("-7.5 % 2", "0.5"),
        ("log(8, 2)", "3"),
        ("sin(0)", "0"),
        ("cos(0)", "1"),
        ("1e6 * 3", "3000000"),
        ("1e30 + 1", "1E+30 (rounded)"),
        ("2 * pi", "6.283185307179586"),
        ("12 * 3 =", "36"),
    ],
)
def test_sums(written: str, result: str) -> None:
    assert worked_out(written) == f"{written} = {result}"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("9**9**9", "it leaves the numbers"),
        ("9**9**9**9**9", "it leaves the numbers"),
        ("10**999 * 10**999", "it leaves the numbers"),
        ("factorial(100000)", "it leaves the numbers"),
        ("1.5**1e9", "it leaves the numbers"),
        ("(0.5)**1e12", "it leaves the numbers"),
        ("1e999999 * 2", "it leaves the numbers"),
        ("sqrt(-1)", "it leaves the numbers"),
        ("log(0)", "it leaves the numbers"),
        ("1/0", "it divides by zero"),
        ("5 % 0", "it divides by zero"),
        ("1 +", "it is no sum"),
        ("", "it is no sum"),
        ("two plus two", "it is no sum"),
        ("'a' * 10**9", "it is no sum"),
        ("True + 1", "it is no sum"),
        ("[1, 2]", "functions that this tool names"),
        ("[x for x in range(10**9)]", "functions that this tool names"),
        ("().__class__.__bases__", "functions that this tool names"),
        ("__import__('os').getcwd()", "functions that this tool names"),
        ("open('/etc/passwd')", "functions that this tool names"),
        ("x = 5", "it is no sum"),
        ("lambda: 1", "functions that this tool names"),
        ("(" * 240 + "1" + ")" * 240, "it is no sum"),
        ("1+" * 300 + "1", "it is longer than 500 characters"),
        ("sqrt(1, 2, 3)", "it is no sum"),
    ],
)
def test_what_is_no_sum_is_refused_at_once(written: str, why: str) -> None:
    with pytest.raises(BadSum, match=why):
        worked_out(written)
