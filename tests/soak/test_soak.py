"""One hub with every surface on, five minutes of people and troubles: nothing lost, nothing doubled, memory and children flat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak.report import PAGE, judged
from tests.soak.soak import Mix, soaking

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = 20
"""Of what is wrong, that much is said."""


@pytest.mark.timeout(1800)
async def test_nothing_is_lost_or_doubled_and_nothing_grows(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    option = pytestconfig.getoption
    mix = Mix(option("--seconds"), option("--seed"), 3 if option("--nasty") else 1)
    async with soaking(tmp_path, mix) as soak:
        await soak.run()
        assert "The books balance" in await soak.hub.timmy("ledger", "verify")
        await soak.stop()
    soak.gauge.keep(tmp_path / "samples.csv")
    report = judged(soak)
    print(f"\n{report.table()}")
    assert report.wrong[:SHOWN] == [], f"{len(report.wrong)} things are wrong; the log is in {soak.hub.log_file}"
    if option("--write-soak"):
        PAGE.write_text(report.page(), encoding="utf-8")
