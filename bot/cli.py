"""The command line: `timmy …`. Each command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from config.settings import Settings

R = TypeVar("R")


def main() -> None:
    """Run `timmy`; every refusal is one clear line on standard error and exit code 1, wrong usage is 2."""
    _mend_streams()
    try:
        sys.exit(timmy(prog_name="timmy", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        _fail(_usage(error), error.exit_code)
    except click.Abort:
        sys.exit(1)
    except HubError as error:
        _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}. Run this as the owner of the data folder, or set TIMMY_DATA_DIR.")
    except UnicodeError as error:
        _fail(f"A text is not in the encoding that it should be in ({error}). Use UTF-8.")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(why: str, code: int = 1) -> None:
    from adapters.console.client import plain

    print(plain(f"timmy: {why}"), file=sys.stderr)
    sys.exit(code)


def _usage(error: click.UsageError) -> str:
    """What is wrong with a command line, in one line."""
    command = error.ctx.command_path if error.ctx else "timmy"
    usage = " ".join(error.ctx.get_usage().split()) if error.ctx else ""
    return f"{' '.join(error.format_message().split())} {usage} ({command} --help tells more)"


def _mend_streams() -> None:
    """A closed stream is an empty one (else the next file that is opened takes its number), and no text is unprintable."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open for good
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="timmy")
def timmy() -> None:
    """A self-hosted chat-ops hub: a local AI agent, and a swarm that works for sats."""


def _wait_for(work: Coroutine[Any, Any, R]) -> R:
    import asyncio

    return asyncio.run(work)


def _settings(*, log: bool = False) -> Settings:
    from config import settings as configuration

    found = configuration.load()
    if log:
        from config.log import set_up

        set_up(found.log_level, as_json=found.log_json)
    return found


def _request(frame: dict[str, Any], *, as_json: bool = False) -> None:
    from adapters.console.client import request

    answer = _wait_for(request(_settings().data_dir, frame))
    if answer["kind"] == "error":
        raise _Said(answer["text"])
    if as_json:
        import json

        print(json.dumps(answer["data"]))
    else:
        _print(answer["text"])


class _Said(HubError):
    """The hub refused."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.args = (text,)


def _print(text: str) -> None:
    from adapters.console.client import plain

    print(plain(text))


def _exit(work: Coroutine[Any, Any, int]) -> None:
    code = _wait_for(work)
    if code:
        sys.exit(code)


def _say(text: str, *, wait: float | None = None, acting_for: str | None = None, as_json: bool = False) -> None:
    from adapters.console.client import say

    _exit(say(_settings().data_dir, text, wait=wait, acting_for=acting_for, as_json=as_json))


@timmy.command()
@click.option("--console", is_flag=True, help="Add a chat on standard input.")
def run(console: bool) -> None:  # noqa: FBT001 - click passes it so
    """Run the hub with every configured surface."""
    import gc

    gc.disable()  # what is imported stays: to look through it again and again for what does not is a tenth of a start
    settings = _settings(log=True)
    from bot.run import run as serve

    gc.freeze()
    gc.enable()
    if console and sys.stdin.isatty() and "log_level" not in settings.model_fields_set:
        import logging

        logging.getLogger().setLevel("WARNING")
    _wait_for(serve(settings, console=console))


@timmy.command()
def console() -> None:
    """Chat with the running hub, as its owner."""
    from adapters.console.client import Place, chat

    settings = _settings()
    _wait_for(chat(Place(settings.data_dir, settings.workspace)))


@timmy.command()
@click.argument("text")
@click.option(
    "--wait", type=click.FloatRange(min=0), metavar="SECONDS", help="Also print what follows, until its task is over."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--as", "acting_for", metavar="ACTOR", help="Try it out as somebody else; never pays or approves.")
def say(text: str, wait: float | None, as_json: bool, acting_for: str | None) -> None:  # noqa: FBT001
    """Send one message as the owner and print the answers."""
    _say(text, wait=wait, acting_for=acting_for, as_json=as_json)


@timmy.command()
@click.argument("text")
def chat(text: str) -> None:
    """Ask the agent."""
    _say(f"/ask {text}")


@timmy.command()
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def nlu(text: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Show what TEXT means, or each line of standard input; needs no hub."""
    from bot.nlu import lines

    for line in lines(text, as_json=as_json):
        print(line, flush=True)


@timmy.command()
@click.option("--json", "as_json", is_flag=True, help="The facts, for programs.")
@click.option("--page", is_flag=True, help="Print a one-time login link for the status page.")
def status(as_json: bool, page: bool) -> None:  # noqa: FBT001
    """Show the health of every part."""
    _request({"op": "page" if page else "status"}, as_json=as_json)


@timmy.command()
@click.option("--json", "as_json", is_flag=True, help="The facts, for programs.")
def doctor(as_json: bool) -> None:  # noqa: FBT001
    """Check the set-up: what is wrong, and what to do. Exit 1 if something must be mended."""
    from bot.doctor import Severity, ask, examine, misconfigured, report

    try:
        settings = _settings()
    except HubError as error:
        findings = [misconfigured(error)]
    else:
        from pathlib import Path

        from config.settings import ENV_FILE

        status = _status_of(settings)
        asked = _wait_for(ask(settings, runs=status is not None))
        findings = examine(settings, status, asked, Path(ENV_FILE))
    _print(report(findings, as_json=as_json))
    if any(not one.ok and one.severity is Severity.ERROR for one in findings):
        sys.exit(1)


def _status_of(settings: Settings) -> dict[str, Any] | None:
    """What the running hub says of itself; None if none answers."""
    from adapters.console.client import request

    try:
        answer = _wait_for(request(settings.data_dir, {"op": "status"}))
    except HubError:
        return None
    return answer["data"] if answer["kind"] != "error" else None


@timmy.group()
def agents() -> None:
    """List, spawn and stop agents."""


@agents.command("list")
@click.option("--json", "as_json", is_flag=True)
def agents_list(as_json: bool) -> None:  # noqa: FBT001
    """Show the roster."""
    _say("/agents", as_json=as_json)


@agents.command("spawn")
@click.argument("persona")
def agents_spawn(persona: str) -> None:
    """Put one more agent of PERSONA to work."""
    _say(f"/spawn {persona}")


@agents.command("stop")
@click.argument("name")
def agents_stop(name: str) -> None:
    """Take an agent off the roster."""
    _say(f"/dismiss {name}")


@timmy.command(
    context_settings={"ignore_unknown_options": False},
    epilog="KIND: owner, read, worker, shortcut. Also: timmy token list · timmy token revoke KIND NAME",
)
@click.argument("words", nargs=-1, required=True, metavar="KIND NAME | list | revoke KIND NAME")
@click.option("--for", "for_actor", metavar="ACTOR", help="The account a shortcut token acts for.")
@click.option(
    "--task-limit", type=click.IntRange(min=1), metavar="SATS", help="The most a shortcut's task may cost (200)."
)
def token(words: tuple[str, ...], for_actor: str | None, task_limit: int | None) -> None:
    """Mint a credential: the token alone on stdout, shown this once."""
    plainly = for_actor is None and task_limit is None
    match words:
        case ("list",) if plainly:
            _request({"op": "token.list"})
        case ("revoke", kind, name) if plainly:
            _request({"op": "token.revoke", "token_kind": kind, "name": name})
        case (kind, name) if kind not in {"list", "revoke"}:
            _request({"op": "token.mint", "token_kind": kind, "name": name, "for": for_actor, "task_limit": task_limit})
            print(
                f"This {kind} token is shown only now; the hub keeps its hash. End it: timmy token revoke {kind} {name}",
                file=sys.stderr,
            )
        case _:
            message = "timmy token KIND NAME [--for ACTOR] [--task-limit SATS], timmy token list, or timmy token revoke KIND NAME"
            raise click.UsageError(message)


@timmy.command()
@click.argument("code")
@click.option(
    "--role", type=click.Choice(["member", "operator", "payer", "owner"]), default="member", show_default=True
)
def pair(code: str, role: str) -> None:
    """Let in whoever was given CODE by the hub in a chat."""
    _say(f"/pair {code} role={role}")


@timmy.command()
@click.argument("actor")
def unpair(actor: str) -> None:
    """Take the role of ACTOR away, such as telegram:12345 or a name."""
    _say(f'/unpair "{actor}"' if " " in actor else f"/unpair {actor}")


@timmy.group()
def ledger() -> None:
    """Prove and read the books."""


@ledger.command()
@click.option("--json", "as_json", is_flag=True)
def verify(as_json: bool) -> None:  # noqa: FBT001
    """Prove the books; exit 1 and say where, if they do not balance."""
    settings = _settings()
    from bot.books import prove

    _print(prove(settings, as_json=as_json))


@ledger.command()
@click.option("--json", "as_json", is_flag=True)
def balance(as_json: bool) -> None:  # noqa: FBT001
    """Show every account's balance."""
    settings = _settings()
    from bot.books import balances

    _print(balances(settings, as_json=as_json))


@ledger.command()
@click.argument("account", required=False)
@click.option("--json", "as_json", is_flag=True)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many movements to list."
)
@click.option("--from", "start", type=click.IntRange(min=1), metavar="ENTRY", help="From this entry on, back in time.")
def history(account: str | None, as_json: bool, limit: int, start: int | None) -> None:  # noqa: FBT001
    """Explain an account's balance (the owner's wallet if none is named): movements, holds, and their sum."""
    settings = _settings()
    from bot.books import movements

    _print(movements(settings, account, limit, start, as_json=as_json))


if __name__ == "__main__":
    main()
