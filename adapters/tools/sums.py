"""Sums: exact on whole and decimal numbers, and bounded however they are written.

simpleeval walks the sum, with nothing but numbers, signs and the functions below; every step is held to `MOST_DIGITS`.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from decimal import (
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    Underflow,
    localcontext,
)
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapters.tools.declared import said, tool
from adapters.tools.here import Here
from core.agent.tool import Output, Use
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    Number = int | Decimal

MOST_DIGITS = 1_000
"""The longest number that a step of a sum may come to."""

_SHOWN = Context(prec=20)
_RECKONING = Context(
    prec=50, Emax=MOST_DIGITS, Emin=-MOST_DIGITS, traps=[InvalidOperation, DivisionByZero, Overflow, Underflow]
)
_LONGEST = 500
_MOST_FACTORIAL = 400
_SIGNS = str.maketrans({"\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "^": "**"})
"""How people write what a sum has other signs for."""

_GROUPED = re.compile(r"(?<![\w.,(])\d{1,3}(?:,\d{3})+(?![\d,)])")
"""`1,250,000`; in brackets a comma tells arguments apart."""

_WRITE = "Write numbers, brackets, + - * / // % ** and the functions that this tool names"


class BadSum(UserError):
    """{sum} cannot be worked out: {why}."""


class _TooLarge(ValueError):
    """A step came to a number beyond all use."""


@tool(lambda a: f"work out {said(a['expression'])}", sold=True)
async def calculate(
    here: Here,
    use: Use,
    *,
    expression: Annotated[str, Field(description="what to work out, such as (19.99*3 + 4)/7 or sqrt(2) or 0.19*250")],
) -> Output:
    """Work out a sum exactly.

    Knows + - * / // % ** sqrt abs round floor ceil min max factorial log log10 exp sin cos tan pi e.
    """
    return Output(worked_out(expression), outside=False)


def worked_out(expression: str) -> str:
    """`1/8 = 0.125`. Raises `BadSum`."""
    from simpleeval import InvalidExpression  # noqa: PLC0415 - for the first sum

    if len(expression) > _LONGEST:
        raise BadSum(sum="That", why=f"it is longer than {_LONGEST} characters. Work it out in parts")
    plain = _GROUPED.sub(lambda number: number[0].replace(",", ""), expression).translate(_SIGNS)
    try:
        with localcontext(_RECKONING):
            return f"{said(expression)} = {_spelt(_evaluated(plain.strip().rstrip('= ')))}"
    except ZeroDivisionError:
        why = "it divides by zero"
    except InvalidExpression as error:
        why = f"{said(error)}. {_WRITE}"
    except (SyntaxError, TypeError, AttributeError, MemoryError, RecursionError):
        why = f"it is no sum. {_WRITE}"
    except (DecimalException, ArithmeticError, ValueError):
        why = f"it leaves the numbers that can be reckoned with here, of {MOST_DIGITS:,} digits at most"
    raise BadSum(sum=said(expression), why=why)


def _evaluated(text: str) -> Number:
    from simpleeval import SimpleEval  # noqa: PLC0415 - as above

    tree = ast.parse(text, mode="eval").body
    sums = SimpleEval(
        {kind: _bounded(sign) for kind, sign in _SIGNS_OF.items()},
        {name: _bounded(function) for name, function in _FUNCTIONS.items()},
        {"pi": Decimal(repr(math.pi)), "e": Decimal(repr(math.e))},
    )
    sums.nodes = {kind: sums.nodes[kind] for kind in (ast.Name, ast.UnaryOp, ast.BinOp, ast.Call)}
    sums.nodes[ast.Constant] = lambda node: _number(node, text)
    return _checked(sums.eval(text, tree))


def _number(node: ast.Constant, text: str) -> Number:
    """A number just as it was written: 0.1 is a tenth."""
    if type(node.value) is int:
        return _checked(node.value)
    if type(node.value) is float:
        return Decimal(ast.get_source_segment(text, node) or repr(node.value))
    raise TypeError


def _bounded(function: Callable[..., Any]) -> Callable[..., Number]:
    return lambda *numbers: _checked(function(*numbers))


def _checked(value: object) -> Number:
    if type(value) is float:
        value = Decimal(repr(value))
    if type(value) is int:
        if value.bit_length() > MOST_DIGITS * 3.33:
            raise _TooLarge
        return value
    if not isinstance(value, Decimal):
        raise TypeError
    if not value.is_finite():
        raise _TooLarge
    return value


def _divided(one: Number, other: Number) -> Number:
    if isinstance(one, int) and isinstance(other, int) and one % other == 0:
        return one // other
    return Decimal(one) / Decimal(other)


def _raised(one: Number, other: Number) -> Number:
    if isinstance(one, int) and isinstance(other, int) and other >= 0:
        if one.bit_length() * other > MOST_DIGITS * 4:
            raise _TooLarge
        return int(one**other)
    return Decimal(one) ** Decimal(other)


def _root(one: Number) -> Number:
    if isinstance(one, int) and one >= 0 and math.isqrt(one) ** 2 == one:
        return math.isqrt(one)
    return Decimal(one).sqrt()


def _logarithm(one: Number, base: Number | None = None) -> Number:
    return Decimal(one).ln() if base is None else Decimal(one).ln() / Decimal(base).ln()


def _factorial(one: Number) -> Number:
    if not isinstance(one, int) or not 0 <= one <= _MOST_FACTORIAL:
        raise _TooLarge
    return math.factorial(one)


_SIGNS_OF: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divided,
    ast.FloorDiv: lambda one, other: (
        math.floor(Decimal(one) / Decimal(other)) if _is_mixed(one, other) else one // other
    ),
    ast.Mod: lambda one, other: (
        one - other * math.floor(Decimal(one) / Decimal(other)) if _is_mixed(one, other) else one % other
    ),
    ast.Pow: _raised,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
"""Mod and floor division as Python has them for whole numbers, of decimal ones too, which have others."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": _root, "abs": abs, "round": round, "floor": math.floor, "ceil": math.ceil, "min": min, "max": max,
    "factorial": _factorial, "log": _logarithm, "ln": _logarithm, "log10": lambda one: Decimal(one).log10(),
    "exp": lambda one: Decimal(one).exp(), "sin": math.sin, "cos": math.cos, "tan": math.tan,
}  # fmt: skip


def _is_mixed(one: Number, other: Number) -> bool:
    return isinstance(one, Decimal) or isinstance(other, Decimal)


def _spelt(value: Number) -> str:
    """A number as people write it: exact if it is whole or short, else its first digits."""
    if isinstance(value, int):
        return str(value)
    rounded = _SHOWN.plus(value).normalize()
    exact = "" if rounded == value else " (rounded)"
    return f"{rounded:f}{exact}" if -_SHOWN.prec < rounded.adjusted() < _SHOWN.prec else f"{rounded}{exact}"
