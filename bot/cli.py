"""The command line: `timmy …`. Each command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from core.errors import HubError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from config.settings import Settings

R = TypeVar("R")

COLLECT = (10_000, 20, 50)
"""How often a hub looks for cycles: its tasks leave few, and with Python's own figures a twelfth of their time went there."""


def main() -> None:
    """Run `timmy`."""
    edge(timmy, "timmy")


def edge(program: Callable[..., Any], name: str) -> None:
    """Run a program; every refusal is one clear line on standard error and exit code 1, wrong usage is 2."""
    _mend_streams()
    try:
        sys.exit(program(prog_name=name, standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        _fail(name, _usage(error, name), error.exit_code)
    except HubError as error:
        _fail(name, str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(
            name, f"{where}{error.strerror or error}. Run this as the owner of the data folder, or set TIMMY_DATA_DIR."
        )
    except UnicodeError as error:
        _fail(name, f"A text is not in the encoding that it should be in ({error}). Use UTF-8.")
    except (click.Abort, KeyboardInterrupt):  # click's name for Ctrl-C, which it has ended the line of
        sys.exit(130)


def _fail(name: str, why: str, code: int = 1) -> None:
    from adapters.console.client import plain

    print(plain(f"{name}: {why}"), file=sys.stderr)
    sys.exit(code)


def _usage(error: click.UsageError, name: str) -> str:
    """What is wrong with a command line, in one line."""
    command = error.ctx.command_path if error.ctx else name
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


def wait_for(work: Coroutine[Any, Any, R]) -> R:
    """Run something to its end."""
    import asyncio

    return asyncio.run(work)


def settings_now(*, log: bool = False, **said: Any) -> Settings:
    """The settings as they are found now, but for what was `said`; `log`: what is logged from now on is shown as they say."""
    from config import settings as configuration

    found = configuration.load(**said)
    if log:
        from config.log import set_up

        set_up(found.log_level, as_json=found.log_json)
    return found


def _request(frame: dict[str, Any], *, as_json: bool = False) -> None:
    from_hub(frame, settings_now(), as_json=as_json)


def from_hub(frame: dict[str, Any], settings: Settings, *, as_json: bool = False) -> None:
    """Ask the running hub something, and print what it answers. Raises what it refuses, and what `request` does."""
    from adapters.console.client import request

    answer = wait_for(request(settings.data_dir, frame))
    if answer["kind"] == "error":
        raise _Said(answer["text"])
    if as_json:
        import json

        print(json.dumps(answer["data"]))
    else:
        print_plain(answer["text"])


class NoWorkerToken(UserError):
    """A worker needs a token: timmy token worker NAME mints one on the hub. Give it with --token-file, or TIMMY_WORKER_TOKEN."""


class NoRedis(UserError):
    """A gateway needs the Redis of its hub: give its address with --redis, TIMMY_REDIS_URL, or TIMMY_REDIS_URL_FILE."""


class _Said(HubError):
    """The hub refused."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.args = (text,)


def print_plain(text: str) -> None:
    """Print a text without what a terminal would obey."""
    from adapters.console.client import plain

    print(plain(text))


def _exit(work: Coroutine[Any, Any, int]) -> None:
    code = wait_for(work)
    if code:
        sys.exit(code)


def _say(text: str, *, wait: float | None = None, acting_for: str | None = None, as_json: bool = False) -> None:
    from adapters.console.client import say

    _exit(say(settings_now().data_dir, text, wait=wait, acting_for=acting_for, as_json=as_json))


@timmy.command()
@click.option("--console", is_flag=True, help="Add a chat on standard input.")
def run(console: bool) -> None:  # noqa: FBT001 - click passes it so
    """Run the hub with every configured surface."""
    import gc

    gc.disable()  # what is imported stays: to look through it again and again for what does not is a tenth of a start
    settings = settings_now(log=True)
    from bot.run import run as serve

    gc.freeze()
    gc.set_threshold(*COLLECT)
    gc.enable()
    if console and sys.stdin.isatty() and "log_level" not in settings.model_fields_set:
        import logging

        logging.getLogger().setLevel("WARNING")
    wait_for(serve(settings, console=console))


@timmy.command()
def console() -> None:
    """Chat with the running hub, as its owner."""
    from adapters.console.client import Place, chat

    settings = settings_now()
    wait_for(chat(Place(settings.data_dir, settings.workspace)))


_CODES = """\b
Exit codes:
  0    it was done: the answer is whole, and with --wait the task settled
  1    it was refused, its answer was broken off (by /stop or its model), its task did not
       settle, --wait ran out, or the hub went away: standard error says which
  2    wrong usage
  130  Ctrl-C"""


@timmy.command(epilog=_CODES)
@click.argument("text")
@click.option(
    "--wait", type=click.FloatRange(min=0), metavar="SECONDS", help="Also print what follows, until its task is over."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--as", "acting_for", metavar="ACTOR", help="Try it out as somebody else; never pays or approves.")
def say(text: str, wait: float | None, as_json: bool, acting_for: str | None) -> None:  # noqa: FBT001
    """Send one message as the owner and print the answers."""
    _say(text, wait=wait, acting_for=acting_for, as_json=as_json)


@timmy.command(epilog=_CODES)
@click.argument("text")
def chat(text: str) -> None:
    """Ask the agent."""
    _say(f"/ask {text}")


@timmy.command(
    epilog=_CODES.replace("130  Ctrl-C", "130  Ctrl-C; 143 SIGTERM, 129 SIGHUP: what was thought is printed")
)
@click.argument("topic")
def think(topic: str) -> None:
    """Have the agent think aloud at length about TOPIC; Ctrl-C, or the end of this command otherwise, ends it where it is."""
    from adapters.console.client import think

    _exit(think(settings_now().data_dir, topic))


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
    from bot.doctor import ask, examine, misconfigured, report
    from bot.findings import Severity

    try:
        settings = settings_now()
    except HubError as error:
        findings = [misconfigured(error)]
    else:
        from pathlib import Path

        from config.settings import ENV_FILE

        status, deaf = status_of(settings)
        asked = wait_for(ask(settings, runs=status is not None, gate=str((status or {}).get("gate", "")), deaf=deaf))
        findings = examine(settings, status, asked, Path(ENV_FILE))
    print_plain(report(findings, as_json=as_json))
    if any(not one.ok and one.severity is Severity.ERROR for one in findings):
        sys.exit(1)


def status_of(settings: Settings) -> tuple[dict[str, Any] | None, HubError | None]:
    """What the running hub says of itself; None if none answers, and why, where there is one."""
    from adapters.console.client import NoHello, request

    try:
        answer = wait_for(request(settings.data_dir, {"op": "status"}))
    except NoHello as error:
        return None, error
    except HubError:
        return None, None
    return answer["data"] if answer["kind"] != "error" else None, None


@timmy.group()
def agents() -> None:
    """List, spawn and stop agents."""


@agents.command("list")
@click.option("--json", "as_json", is_flag=True)
def agents_list(as_json: bool) -> None:  # noqa: FBT001
    """Show the roster."""
    _say("/agents", as_json=as_json)


@agents.command("spawn")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--image", help="The image of its container (TIMMY_DOCKER_IMAGE); none: in the hub's own process.")
@click.option(
    "--capabilities", help="What it does there, separated by commas; what its persona or image can, if not said."
)
def agents_spawn(names: tuple[str, ...], image: str | None, capabilities: str | None) -> None:
    """Put one more agent to work: of the persona NAME, or under that name in a container."""
    more = "".join(
        f' {key}="{value}"' for key, value in (("image", image), ("does", capabilities)) if value is not None
    )
    for name in names:
        _say(f"/spawn {name}{more}")


@agents.command("stop")
@click.argument("name")
def agents_stop(name: str) -> None:
    """Take an agent off the roster."""
    _say(f"/dismiss {name}")


@agents.command("logs")
@click.argument("name")
@click.option("--lines", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many, the last ones.")
@click.option("--json", "as_json", is_flag=True)
def agents_logs(name: str, lines: int, as_json: bool) -> None:  # noqa: FBT001
    """Show what the container of an agent said last."""
    _request({"op": "agents.logs", "name": name, "lines": lines}, as_json=as_json)


@timmy.command()
@click.option("--hub", metavar="URL", help="Where the hub is (TIMMY_HUB_URL).")
@click.option("--token-file", type=click.Path(), help="A file with the token (or TIMMY_WORKER_TOKEN).")
@click.option("--name", help="The name that the token was minted for (TIMMY_WORKER_NAME); this machine's, if not said.")
@click.option(
    "--capabilities",
    help="What it does, separated by commas (TIMMY_WORKER_CAPABILITIES); all that the personas do, if not said.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 100), default=1, show_default=True, help="How many tasks at a time."
)
def worker(
    hub: str | None, token_file: str | None, name: str | None, capabilities: str | None, concurrency: int
) -> None:
    """Work for a hub from here: the same personas and skills, in a process of their own."""
    import platform

    from config.settings import secret_in, split

    said = {"hub": {"url": hub} if hub else {}, "worker": {}}
    if token_file:
        said["worker"]["token"] = secret_in("--token-file", token_file)
    said["worker"] |= {} if name is None else {"name": name}
    said["worker"] |= {} if capabilities is None else {"capabilities": capabilities}
    settings = settings_now(log=True, **said)
    if settings.worker.token is None:
        raise NoWorkerToken
    from bot.parts.outpost import work

    name = settings.worker.name or platform.node().partition(".")[0]
    wait_for(work(settings, name=name, capabilities=split(settings.worker.capabilities), capacity=concurrency))


@timmy.command()
@click.option("--redis", metavar="URL", help="The Redis by which the hub is reached (TIMMY_REDIS_URL).")
@click.option("--bind", metavar="HOST", help="The address to listen on (TIMMY_HTTP_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on (TIMMY_HTTP_PORT).")
def gateway(redis: str | None, bind: str | None, port: int | None) -> None:
    """Serve workers from here, for a hub that is reached by way of Redis."""
    http = {"host": bind} if bind else {}
    settings = settings_now(
        log=True, http=http if port is None else {**http, "port": port}, redis={"url": redis} if redis else {}
    )
    if settings.redis.url is None:
        raise NoRedis
    from bot.parts.gateway import serve

    wait_for(serve(settings))


_CLIENT = """\b
For the configuration of an MCP client (the folder as this machine knows it):
  {"mcpServers": {"timmy": {
    "command": "timmy", "args": ["mcp"],
    "env": {"TIMMY_DATA_DIR": "/where/it/is/data",
            "TIMMY_MCP_TOKEN_FILE": "/where/it/is/mcp-token"}}}}

Without a token it only reads: states and sums, no texts and no people. With one of
`timmy token mcp NAME --for ACTOR --task-limit SATS` it reads as that person, and posts
tasks within the limit; for all else that binds they are asked in their chat."""


@timmy.command(epilog=_CLIENT)
def mcp() -> None:
    """Serve an MCP client on standard input and output, for the running hub."""
    from importlib.metadata import version

    settings = settings_now(log=True)
    from bot.parts.mcp_server import serve

    wait_for(serve(settings, version("timmy")))
    os._exit(0)  # the client waits for the end, which taking down all that was imported would put off


@timmy.command(
    context_settings={"ignore_unknown_options": False},
    epilog="KIND: owner, read, worker, shortcut, mcp. Also: timmy token list · timmy token revoke KIND NAME",
)
@click.argument("words", nargs=-1, required=True, metavar="KIND NAME | list | revoke KIND NAME")
@click.option("--for", "for_actor", metavar="ACTOR", help="The account a shortcut or mcp token acts for.")
@click.option(
    "--task-limit", type=click.IntRange(min=1), metavar="SATS", help="The most a task of such a token may cost (200)."
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
            message = (
                "Say what to do: timmy token KIND NAME [--for ACTOR] [--task-limit SATS], list, or revoke KIND NAME."
            )
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
    settings = settings_now()
    from bot.books import prove

    print_plain(prove(settings, as_json=as_json))


@ledger.command()
@click.option("--json", "as_json", is_flag=True)
def balance(as_json: bool) -> None:  # noqa: FBT001
    """Show every account's balance."""
    settings = settings_now()
    from bot.books import balances

    print_plain(balances(settings, as_json=as_json))


@ledger.command()
@click.argument("account", required=False)
@click.option("--json", "as_json", is_flag=True)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many movements to list."
)
@click.option("--from", "start", type=click.IntRange(min=1), metavar="ENTRY", help="From this entry on, back in time.")
def history(account: str | None, as_json: bool, limit: int, start: int | None) -> None:  # noqa: FBT001
    """Explain an account's balance (the owner's wallet if none is named): movements, holds, and their sum."""
    settings = settings_now()
    from bot.books import movements

    print_plain(movements(settings, account, limit, start, as_json=as_json))


@timmy.group()
def simulate() -> None:
    """Play the world outside a simulated node: simulated sats come in and go out."""


@simulate.command("pay")
@click.argument("bolt11")
@click.option("--json", "as_json", is_flag=True)
def simulate_pay(bolt11: str, as_json: bool) -> None:  # noqa: FBT001
    """Let an outside wallet pay BOLT11, an invoice of this hub."""
    _request({"op": "simulate.pay", "bolt11": bolt11}, as_json=as_json)


@simulate.command("invoice")
@click.argument("sats")
@click.option("--memo", metavar="TEXT", default="", help="What it is for.")
@click.option("--expires", metavar="DURATION", help="How long it can be paid: 90s, 10m, 2h, 1d (1h).")
@click.option(
    "--fails",
    type=click.Choice(["no_route", "hangs", "later", "expired", "paid"]),
    help="How a payment to it goes wrong; one that hangs waits for `timmy simulate land`.",
)
@click.option("--json", "as_json", is_flag=True)
def simulate_invoice(sats: str, memo: str, expires: str | None, fails: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Print an outside node's invoice for SATS, for this hub to pay."""
    frame = {"op": "simulate.invoice", "amount": sats, "memo": memo, "expires": expires, "fails": fails}
    _request(frame, as_json=as_json)


@simulate.command("land")
@click.argument("payment", metavar="BOLT11")
@click.option("--fail", is_flag=True, help="It fails; else it arrives.")
@click.option("--json", "as_json", is_flag=True)
def simulate_land(payment: str, fail: bool, as_json: bool) -> None:  # noqa: FBT001
    """End a payment that hangs: of the invoice BOLT11, or of a payment hash."""
    _request({"op": "simulate.land", "payment_hash": payment, "fail": fail}, as_json=as_json)


if __name__ == "__main__":
    main()
