"""`timmy-serve`: sells chat and tasks to strangers by L402, in the running hub or in one of its own (CONTRACT)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot.cli import edge, from_hub, print_plain, settings_now, wait_for
from core.money import format_sats, to_msat

if TYPE_CHECKING:
    from config.settings import Settings


def main() -> None:
    """Run `timmy-serve`."""
    edge(timmy_serve, "timmy-serve")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="timmy")
def timmy_serve() -> None:
    """Sell chat and tasks to strangers for sats, by L402."""


@timmy_serve.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Sell on this port (TIMMY_SERVE_PORT).")
@click.option(
    "--price", type=click.IntRange(1, 10_000_000), metavar="SATS", help="What one call costs (TIMMY_SERVE_PRICE)."
)
@click.option("--dry-run", is_flag=True, help="Say what would be sold and where; open nothing.")
def start(port: int | None, price: int | None, dry_run: bool) -> None:  # noqa: FBT001 - click passes it so
    """Open the gate in the running hub, or start a hub with the gate alone; it closes when that hub stops."""
    settings = settings_now(log=not dry_run)
    if dry_run:
        print_plain(_plan(settings, port, price) + _lacks(settings))
        return
    from adapters.console.client import NoHubHere, NotRunning

    try:
        from_hub({"op": "serve.start", "port": port, "price": price}, settings)
    except (NotRunning, NoHubHere):
        from bot.run import run

        if lacks := _lacks(settings).strip():
            click.echo(f"timmy-serve: {lacks}", err=True)
        wait_for(run(_alone(settings, port, price), console=False))


@timmy_serve.command()
@click.option("--amount", type=click.IntRange(min=1), required=True, metavar="SATS", help="How much is asked for.")
@click.option("--memo", default="", help="What for; the payer reads it.")
@click.option("--json", "as_json", is_flag=True, help="The facts, for programs.")
def invoice(amount: int, memo: str, as_json: bool) -> None:  # noqa: FBT001
    """Print a Lightning invoice of the running hub."""
    from_hub({"op": "serve.invoice", "amount": amount, "memo": memo}, settings_now(), as_json=as_json)


@timmy_serve.command()
@click.option("--json", "as_json", is_flag=True, help="The facts, for programs.")
def status(as_json: bool) -> None:  # noqa: FBT001
    """Say how the selling goes."""
    from_hub({"op": "serve.status"}, settings_now(), as_json=as_json)


def _plan(settings: Settings, port: int | None, price: int | None) -> str:
    serve = settings.serve
    where = serve.public_url or f"http://{serve.host}:{port or serve.port}"
    cost = format_sats(to_msat(price or serve.price), simulated=settings.lightning.backend == "simulated")
    return (
        f"Would sell at {where}, listening on {serve.host}, port {port or serve.port}:\n"
        f"POST /v1/chat   an answer of the agent    {cost} a call\n"
        f"POST /v1/tasks  a task for the swarm      {cost} a call\n"
        "Nothing was opened."
    )


def _lacks(settings: Settings) -> str:
    """What a hub that is not there yet would not sell."""
    from bot.parts.looks import look_at_models
    from bot.serving import no_talks

    looks = wait_for(look_at_models(settings))
    return no_talks(looks[0].why if all(one.why for one in looks) else None)


def _alone(settings: Settings, port: int | None, price: int | None) -> Settings:
    """The settings of a hub with no surface but the gate."""
    given: dict[str, Any] = {"enabled": True}
    given |= {name: value for name, value in (("port", port), ("price", price)) if value is not None}
    off = {name: type(getattr(settings, name))() for name in ("telegram", "matrix", "shortcuts")}
    return settings.model_copy(update={**off, "serve": settings.serve.model_copy(update=given)})


if __name__ == "__main__":
    main()
