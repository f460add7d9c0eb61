"""`self-tdd`: runs the tests of any project whenever it changes, and speaks on red and on green again only (CONTRACT)."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from bot.cli import edge, settings_now, wait_for


def main() -> None:
    """Run `self-tdd`."""
    edge(self_tdd, "self-tdd")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="timmy")
def self_tdd() -> None:
    """A test watchdog for any project."""


def _split(_: click.Context, __: click.Parameter, given: str | None) -> list[str] | None:
    if given is None:
        return None
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if not words:
        raise click.BadParameter("it is empty.")
    return words


def _chat(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    from bot.announce import is_chat

    if given is not None and not is_chat(given):
        raise click.BadParameter("it is owner, telegram:12345, matrix:!room:example.org or the like.")
    return given


@self_tdd.command()
@click.option(
    "--interval", type=click.FloatRange(min=0), default=60, show_default=True, metavar="SECONDS",
    help="Run again so long after a run, though nothing changed; 0: after changes only.",
)  # fmt: skip
@click.option(
    "--path", type=click.Path(path_type=Path), default=".", metavar="DIR", help="The project; this folder, if not said."
)
@click.option(
    "--notify", callback=_chat, metavar="CHAT", help="Tell a chat too: owner, telegram:12345, matrix:!room:example.org."
)
@click.option(
    "--command", callback=_split, help="What runs the tests; found by what lies in the folder, if not said. No shell."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=3600, show_default=True, metavar="SECONDS",
    help="End a run that is not over after so long; 0: never.",
)  # fmt: skip
def watch(interval: float, path: Path, notify: str | None, command: list[str] | None, timeout: float) -> None:
    """Run the tests now, after each change, and every so often, until Ctrl-C."""
    from bot.parts.tdd import Wanted
    from bot.parts.tdd import watch as serve

    folder = settings_now().data_dir if notify is not None else None
    wait_for(serve(Wanted(path, interval, timeout, command, notify, folder)))


if __name__ == "__main__":
    main()
