"""Program code: what is fenced is whole, parses where a parser is at hand, and has the tests that were asked for."""

from __future__ import annotations

import ast
import json
import re
import tomllib
import warnings
from typing import TYPE_CHECKING

from core.agent.checks import markup
from core.agent.checks.draft import MOST_FAULTS, Checked, asks, blocks, quote
from core.agent.worktree import DIFF

if TYPE_CHECKING:
    from core.agent.checks.draft import Block, Draft

_WRITES = frozenset({
    "write", "implement", "create", "program", "script", "function", "class", "fix", "refactor", "add", "code", "query",
    "schreibe", "programm", "funktion",
})  # fmt: skip
_EXPLAINS = frozenset({"explain", "why", "describe", "review", "what", "how", "erkläre", "warum"})
_TESTS = frozenset({"test", "tests", "tested", "pytest", "unittest"})
_NO_TESTS = re.compile(r"\b(?:no|without|not|skip|ohne|keine)\s+(?:any\s+|the\s+)?tests?\b", re.IGNORECASE)
_TESTED = re.compile(r"\b(?:assert\w*|expect|describe|it|test\w*|require)\b\s*[\s(.{]", re.IGNORECASE)
_LEFT_OUT = re.compile(
    r"^\s*(?:#|//|--|/\*|<!--|;)?\s*(?:\.\.\.|…)?\s*"
    r"(?:your code|rest of|same as (?:before|above)|existing code|implementation (?:goes )?here|todo:? implement|unchanged)\b",
    re.IGNORECASE,
)
_PYTHON = frozenset({"python", "py", "python3"})


def check(draft: Draft) -> Checked:
    """See the module."""
    found = blocks(draft.text)
    if not found and any(file.name == DIFF for step in draft.steps for call in step.calls for file in call.files):
        return Checked(draft.text)  # what was changed is handed over
    if not found:
        explains = not asks(draft.task, *_WRITES) or asks(draft.task, *_EXPLAINS)
        return Checked(
            draft.text, () if explains else ("Put the whole code into a fenced block that names its language.",)
        )
    faults = [fault for block in found for fault in _faults(block)]
    if asks(_NO_TESTS.sub(" ", draft.task), *_TESTS) and not any(_tests(block) for block in found):
        faults.append("The task asks for tests, and there are none: add tests that fail where the code is wrong.")
    return Checked(draft.text, tuple(faults[:MOST_FAULTS]))


def _faults(block: Block) -> list[str]:
    faults = [] if block.body.strip() else ["A fenced block is empty."]
    left_out = next((line for line in block.body.splitlines() if _LEFT_OUT.match(line)), None)
    if left_out is not None:
        faults.append(f"Code is left out at {quote(left_out)}: give all of it.")
    try:
        faults += _parsed(block)
    except (RecursionError, MemoryError):
        faults.append(f"The {block.language} block is nested too deeply to be read.")
    except ValueError as error:  # what all of these parsers raise is one, or a SyntaxError
        faults.append(f"The {block.language} block does not parse: {_reason(error)}.")
    except SyntaxError as error:
        faults.append(f"The {block.language} block does not parse: line {error.lineno}: {error.msg}.")
    return faults


def _parsed(block: Block) -> list[str]:
    if block.language in _PYTHON:
        return _stubs(parsed(block.body))
    match block.language:
        case "json":
            json.loads(block.body)
        case "toml":
            tomllib.loads(block.body)
        case "xml" | "svg":
            markup.elements(block.body, typed=True)
        case _:
            pass
    return []


def parsed(body: str) -> ast.Module:
    """A Python program; raises what its parser does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        if ">>> " in body[:200]:
            return ast.parse("")  # a session, not a program
        return ast.parse(body)


def _stubs(tree: ast.Module) -> list[str]:
    """Functions that do nothing at all, where nothing says that they are only there to be overridden."""
    functions = (one for one in ast.walk(tree) if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)))
    stubs = (one.name for one in functions if not one.decorator_list and _empty(one.body))
    return [f"The function {quote(name)} is only a stub: write it." for name in stubs]


def _empty(body: list[ast.stmt]) -> bool:
    last = body[-1]
    if any(not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)) for one in body[:-1]):
        return False
    if isinstance(last, ast.Raise):
        raised = last.exc.func if isinstance(last.exc, ast.Call) else last.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return isinstance(last, ast.Pass) or (isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant))


def _tests(block: Block) -> bool:
    return _TESTED.search(block.body) is not None


def _reason(error: ValueError) -> str:
    return " ".join(str(error).split())[:120].rstrip(".")
