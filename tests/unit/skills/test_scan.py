"""mace: secrets and dangerous code by file and line, and no secret in what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.skills.errors import FileBinary, FileClosed
from adapters.skills.job import TEXT_LENGTH
from adapters.skills.scan import masked, scan
from tests.unit.skills.conftest import CANARY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.skills.conftest import Jobs

# a notice of one of bandit's libraries to bandit
pytestmark = pytest.mark.filterwarnings("ignore:The verify_requirements argument:DeprecationWarning")

AWS = "AKIA" + "QX7RMNVBTZLKW3PD"
PASSWORD = "hunter2-correct-horse"
APP = f"""import subprocess
aws_key = "{AWS}"
password = "{PASSWORD}"
subprocess.call("ls " + input(), shell=True)
eval("1")
"""


def test_findings_have_a_place_and_a_severity_and_no_value(root: Path, job: Jobs) -> None:
    (root / "app.py").write_text(APP)
    text = scan(job("app.py")).text
    assert text.splitlines()[0] == "Found 2 possible secrets and 3 risks in 1 file (5 lines); 2 of them high."
    assert f"- HIGH app.py:2 AWS Access Key: AK… ({len(AWS)} characters)" in text
    assert f"- MEDIUM app.py:3 Secret Keyword: hu… ({len(PASSWORD)} characters)" in text
    assert "- HIGH app.py:4 subprocess call with shell=True identified, security issue (B602)" in text
    assert "Looked at: .py 5 lines in 1." in text
    for secret in (AWS, PASSWORD):
        assert secret[:3] not in text.replace("characters", "")


def test_a_long_report_goes_into_a_file_without_values_too(root: Path, job: Jobs) -> None:
    (root / "app.py").write_text(APP * 30)
    outcome = scan(job("app.py"))
    assert len(outcome.text) <= TEXT_LENGTH
    report = outcome.files[0].read_text()
    assert "app.py:148" in report
    assert AWS not in report
    assert PASSWORD not in report


def test_the_whole_workspace_is_scanned_without_its_closed_parts(root: Path, job: Jobs) -> None:
    (root / "deep/app.py").write_text(APP)
    text = scan(job(".")).text
    assert "deep/app.py:2" in text
    assert "in 3 files" in text
    assert "Left out: " in text
    assert CANARY not in text


def test_scans_narrow_to_secrets_or_code(root: Path, job: Jobs) -> None:
    (root / "app.py").write_text(APP)
    assert "(B602)" not in scan(job("app.py", **{"for": "secrets"})).text
    assert "AWS" not in scan(job("app.py", **{"for": "code"})).text
    assert PASSWORD[:3] not in scan(job("app.py", **{"for": "code"})).text


def test_a_clean_file_says_so(job: Jobs) -> None:
    assert scan(job("welcome.md")).text.startswith("Nothing suspicious was found in 1 file (3 lines).")


def test_closed_and_binary_files_are_refused(root: Path, job: Jobs) -> None:
    (root / "noise.py").write_bytes(b"\0\1\2")
    (root / "book.pdf").write_bytes(b"%PDF-1.7\n")
    with pytest.raises(FileClosed):
        scan(job(".env"))
    for name in ("noise.py", "book.pdf"):
        with pytest.raises(FileBinary):
            scan(job(name))


def test_python_that_does_not_parse_is_no_crash(root: Path, job: Jobs) -> None:
    (root / "broken.py").write_text("def (:\n" + "(" * 5000)
    assert "1 file" in scan(job("broken.py")).text


@pytest.mark.parametrize(("value", "shown"), [("", "… (0 characters)"), ("abc", "… (3 characters)")])
def test_short_secrets_show_nothing(value: str, shown: str) -> None:
    assert masked(value) == shown
