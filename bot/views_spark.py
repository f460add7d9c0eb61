"""What Spark says, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.page import Page
from bot.views import moment
from core.durations import about
from core.money import format_sats, to_sats
from core.spark.advice import words

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from core.chat import Reply
    from core.events import Json
    from core.spark.forecast import Forecast
    from core.spark.record import Record
    from core.spark.spark import Told, Word

ENOUGH = 20
"""Forecasts that make a record."""

MOST_NAMES = 3


def told(found: Told, there: Callable[[str], bool], zone: tzinfo | None) -> Reply:
    """The record, and the advice that is new where it is told."""
    insight = found.insight
    one, new = insight.record, {word.number for word in found.new}
    page = Page(_head(one))
    if one.ends >= ENOUGH:
        page.table(_record(one))
    for word in found.new:
        page.add(f"\n{_since(word, zone)}{words(word.advice, there)}")
    if found.more:
        page.add(f"\n{found.more} more: /spark")
    elif found.old:
        page.add(f"\n{_stands(found.old)} that you were told before; the status page has all")
    elif not found.new and one.ends >= ENOUGH:
        page.add("\nNothing that needs your attention")
    fields: list[Json] = [{"field": field, **_record_data(record)} for field, record in sorted(insight.fields.items())]
    advice: list[Json] = [_word_data(word, there, new=word.number in new) for word in insight.words]
    return page.reply({"ok": True, "record": _record_data(one), "fields": fields, "advice": advice})


def foreseen(said: Forecast) -> tuple[str, Json]:
    """What was said of one task, in words and as facts."""
    best = sorted(said.odds.items(), key=lambda one: (-one[1], one[0]))
    parts = [", ".join(f"{name} {chance:.0%}" for name, chance in best[:MOST_NAMES]) or "nobody"]
    parts.append(f"done {said.done:.0%}")
    data: dict[str, Json] = {"odds": dict(best), "done": said.done}
    if said.price is not None:
        low, high = said.price
        parts.append(f"{to_sats(low):,} to {format_sats(high)}" if to_sats(low) < to_sats(high) else format_sats(high))
        data["price_sats"] = [to_sats(low), to_sats(high)]
    if said.took is not None:
        low, high = said.took
        parts.append(f"{about(low)} to {about(high)}" if about(low) != about(high) else about(high))
        data["seconds"] = [low / 1000, high / 1000]
    return "; ".join(parts), data


def _head(one: Record) -> str:
    if not one.ends:
        return "No forecast was scored yet: each task is foreseen when it is posted, and scored when it is over"
    if one.ends < ENOUGH:
        return f"Not enough yet: {one.ends} of {ENOUGH} forecasts that make a record are scored"
    return f"{one.ends:,} forecasts scored"


def _record(one: Record) -> list[tuple[str, ...]]:
    """How good, in columns; Brier scores beside those of counting, which is what to beat. Lower is better."""
    rows: list[tuple[str, ...]] = [("", "forecasts", "", "Brier", "counting")]
    if one.winners:
        right = f"{one.right / one.winners:.0%} right"
        rows.append(("winner", f"{one.winners:,}", right, *_means(one.winner, one.winner_base, one.winners)))
    rows.append(("done or not", f"{one.ends:,}", "", *_means(one.end, one.end_base, one.ends)))
    for name, count, inside in (("price", one.prices, one.price_in), ("time", one.times, one.time_in)):
        if count:
            rows.append((name, f"{count:,}", f"{inside / count:.0%} in range", "", ""))
    return rows


def _means(ours: float, base: float, count: int) -> tuple[str, str]:
    return f"{ours / count:.3f}", f"{base / count:.3f}"


def _stands(words: int) -> str:
    return "1 word of advice stands" if words == 1 else f"{words} words of advice stand"


def _since(word: Word, zone: tzinfo | None) -> str:
    return f"since {moment(word.advice.since or word.at, zone)}: "


def _record_data(one: Record) -> dict[str, Json]:
    """Sample sizes with each; mean Brier scores, ours and counting's, where there is one."""
    winner: dict[str, Json] = {"scored": one.winners, "right": one.right}
    if one.winners:
        winner |= {"brier": one.winner / one.winners, "brier_counting": one.winner_base / one.winners}
    done: dict[str, Json] = {"scored": one.ends}
    if one.ends:
        done |= {"brier": one.end / one.ends, "brier_counting": one.end_base / one.ends}
    return {
        "winner": winner, "done": done, "price": {"scored": one.prices, "in_range": one.price_in},
        "time": {"scored": one.times, "in_range": one.time_in},
    }  # fmt: skip


def _word_data(word: Word, there: Callable[[str], bool], *, new: bool) -> dict[str, Json]:
    one = word.advice
    data: dict[str, Json] = {
        "topic": one.topic.value, "field": one.where, "text": words(one, there), "since": one.since or word.at, "new": new,
    }  # fmt: skip
    if one.agent:
        data["agent"] = one.agent
    return data
