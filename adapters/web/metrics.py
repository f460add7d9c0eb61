"""`GET /metrics` as Prometheus text. Loaded at the first request, on a thread: nobody else pays for the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from core.money import to_cost, to_sats
from core.swarm.stuck import KINDS
from core.swarm.task import OVER, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

    from adapters.web.ports import Readings


def render(readings: Readings) -> bytes:
    """The text format, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Hub(readings))
    return generate_latest(registry)


class _Hub(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        now, figures = self._readings, self._readings.figures
        yield _gauge("timmy_uptime_seconds", "Since the hub was started", now.uptime)
        yield _gauge("timmy_ready", "Whether start-up is done", now.ready)
        yield _gauges(
            "timmy_part_up", "Whether a part runs", "part", {name: part.up for name, part in now.parts.items()}
        )
        yield _counters(
            "timmy_part_restarts",
            "Starts after a failure",
            "part",
            {name: part.restarts for name, part in now.parts.items()},
        )
        live = {status.value: figures.live.get(status, 0) for status in Status if status not in OVER}
        yield _gauges("timmy_tasks", "Tasks under way", "status", live)
        yield _counter("timmy_tasks_posted", "Tasks ever posted", figures.tasks)
        money = {
            "held": to_cost(figures.held), "escrow": to_sats(figures.escrow), "treasury": to_sats(figures.treasury),
        }  # fmt: skip
        yield _gauges(
            "timmy_money_sats", "Whole sats, play money if timmy_simulated is 1", "place", money,
        )  # fmt: skip
        today = {"earned": to_sats(figures.earned), "spent": to_cost(figures.spent)}
        yield _gauges(
            "timmy_treasury_today_sats", "Whole sats that the treasury moved since midnight", "way", today,
        )  # fmt: skip
        yield _gauge("timmy_spending_frozen", "Whether nothing may be spent", figures.frozen)
        yield _gauge("timmy_simulated", "Whether the sats are play money", now.simulated)
        yield _gauge("timmy_messages_waiting", "Messages not sent yet", figures.backlog)
        yield _gauge(
            "timmy_dead_letters",
            "Events and messages that were given up",
            figures.dead_letters,
        )
        stuck = {kind: now.stuck.get(kind, 0) for kind in KINDS}
        yield _gauges("timmy_stuck", "What nothing moves any more", "what", stuck)
        yield _counter("timmy_writer_hops", "Turns of the database writer on its thread", now.hops)
        yield _counter("timmy_writer_commits", "Durable commits", now.commits)
        yield _counters("timmy_events", "Domain events since the start", "type", now.events)
        yield _gauges("timmy_streams", "Clients of the event streams", "path", now.streams)
        yield _gauge("timmy_resident_memory_bytes", "Memory of the hub's process", psutil.Process().memory_info().rss)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value)


def _gauges(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counters(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
