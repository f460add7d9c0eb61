"""Recordings on disk: whole or not at all, bounded together, gone once heard or a day old, and nobody else's to read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from adapters.shortcuts import recordings
from adapters.shortcuts.recordings import OLDEST_MS, RecordingGone, Recordings, TooManyRecordings
from core.store import DiskFull

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_750_000_000_000
ONE, TWO = Recordings.ref("a" * 64, "one"), Recordings.ref("b" * 64, "two")


async def test_what_is_kept_is_read_until_it_was_heard(tmp_path: Path) -> None:
    kept = Recordings(tmp_path / "recordings")
    await kept.keep(ONE, b"first", NOW)
    await kept.keep(ONE, b"again", NOW)
    assert await kept.read(ONE) == b"again"
    await kept.discard(ONE)
    await kept.discard(TWO)
    with pytest.raises(RecordingGone):
        await kept.read(ONE)
    assert list((tmp_path / "recordings").iterdir()) == []


async def test_a_ref_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s")
    for ref in ("../secret", "", f"{ONE}/../../secret"):
        with pytest.raises(RecordingGone):
            await Recordings(tmp_path / "recordings").read(ref)


async def test_all_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_TOGETHER", 10)
    kept = Recordings(tmp_path / "recordings")
    await kept.keep(ONE, b"x" * 8, NOW)
    with pytest.raises(TooManyRecordings):
        await kept.keep(TWO, b"x" * 3, NOW)
    await kept.keep(ONE, b"x" * 10, NOW)
    await kept.discard(ONE)
    await kept.keep(TWO, b"x" * 10, NOW)


async def test_no_device_has_all_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_EACH", 10)
    kept = Recordings(tmp_path / "recordings")
    await kept.keep(ONE, b"x" * 8, NOW)
    with pytest.raises(TooManyRecordings):
        await kept.keep(Recordings.ref("a" * 64, "three"), b"x" * 3, NOW)
    await kept.keep(TWO, b"x" * 8, NOW)


async def test_those_that_come_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    kept = Recordings(tmp_path / "recordings")
    refs = [Recordings.ref(letter * 64, "one") for letter in "abcdef"]
    for _ in range(5):
        await asyncio.gather(*(kept.keep(ref, b"x" * 50_000, NOW) for ref in refs), kept.sweep(NOW))
        assert {await kept.read(ref) for ref in refs} == {b"x" * 50_000}
        await asyncio.gather(*(kept.discard(ref) for ref in refs))
        assert list((tmp_path / "recordings").iterdir()) == []


async def test_what_an_earlier_run_kept_is_discarded_too(tmp_path: Path) -> None:
    await Recordings(tmp_path / "recordings").keep(ONE, b"x", NOW)
    await Recordings(tmp_path / "recordings").discard(ONE)
    assert list((tmp_path / "recordings").iterdir()) == []


async def test_what_nobody_heard_in_a_day_and_what_was_half_written_is_swept_and_the_rest_is_found_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "recordings"
    await Recordings(folder).keep(ONE, b"old", NOW)
    await Recordings(folder).keep(TWO, b"new", NOW + OLDEST_MS)
    (folder / "half.new").write_bytes(b"h")
    later = Recordings(folder)
    await later.sweep(NOW + OLDEST_MS + 1)
    assert [file.name for file in folder.iterdir()] == [TWO]
    await later.discard(TWO)
    assert list(folder.iterdir()) == []


async def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("no folder")
    with pytest.raises(DiskFull):
        await Recordings(tmp_path / "recordings").keep(ONE, b"x", NOW)
