"""mace: secrets and dangerous code by file and line, and no secret in what it says."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from adapters.skills.assigned import assigned
from adapters.skills.errors import FileBinary, FileClosed, LineTooLong
from adapters.skills.job import TEXT_LENGTH
from adapters.skills.scan import masked, scan
from tests.depth import first
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


NOTES = """# Notes

Clean up with this:

```python
import os
os.system("rm -rf " + x)
```

~~~text
```python
eval("of a text about fences")
```
~~~

1. or with this

   ``` {.python}
   eval(input())
   ```

```py
print "old"
"""


def test_python_in_markdown_is_scanned_by_the_lines_of_its_file(root: Path, job: Jobs) -> None:
    (root / "notes.md").write_text(NOTES)
    text = scan(job("notes.md")).text
    places = [line.split()[2] for line in text.splitlines() if line.startswith("- ") and "B404" not in line]
    assert places == ["notes.md:7", "notes.md:19"]
    assert "Not analysed: notes.md (no Python that can be read)." in text
    assert "no Python in it" not in text


def test_a_scan_without_python_says_that_no_other_code_is_looked_at(root: Path, job: Jobs) -> None:
    (root / "run.sh").write_text('rm -rf "$1"\n')
    assert scan(job("run.sh")).text.endswith("dangerous code is looked for in Python only.")
    assert "Python only" not in scan(job("run.sh", **{"for": "secrets"})).text


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


TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("line", "value"),
    first(
        8,
        [
            (f"password={PASSWORD}", PASSWORD),
            ("password=hunter2secret", "hunter2secret"),
            ("aws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCYzzKEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYzzKEY"),
            ("db.password: 'correct-horse-7'", "correct-horse-7"),
            ('{"apiToken": "n3verGuess-this"}', "n3verGuess-this"),
            (f"token {TOKEN}", TOKEN),
            (f"git clone https://{TOKEN}@example.com/x", TOKEN),
        ],
    ),
)
@pytest.mark.parametrize("name", ["notes.txt", "notes.md", "app.ini"])
def test_secrets_are_found_in_notes_and_shown_as_their_length(
    root: Path, job: Jobs, line: str, value: str, name: str
) -> None:
    (root / name).write_text(f"Dear Ann,\n{line}\n")
    text = scan(job(name)).text
    assert text.startswith("Found 1 possible secret and 0 risks")
    assert f"{name}:2 " in text
    assert masked(value) in text


@pytest.mark.parametrize(
    "line",
    [
        "password = get_password(user1)",
        "token: string",
        "The password: required, at least 8 characters",
        "secret = config.secret_v2",
        "access_key=${ACCESS_KEY_1}",
        "password=/run/secrets/db1",
        "api_key = <your key 1>",
        "token_url=https://example.com/oauth2/token",
    ],
)
def test_what_only_speaks_of_secrets_is_none(root: Path, job: Jobs, line: str) -> None:
    (root / "notes.txt").write_text(f"Dear Ann,\n{line}\n")
    assert scan(job("notes.txt")).text.startswith("Nothing suspicious was found in 1 file")


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", first(3, ["password=", "a.", "token : ", "secret_", "password", "pwd=1"]))
def test_hostile_lines_are_scanned_in_no_time(piece: str) -> None:
    assert len(list(assigned("\n".join([piece * (49_000 // len(piece))] * 10)))) <= 100_000


def test_a_scan_that_left_everything_out_is_no_all_clear(root: Path, job: Jobs) -> None:
    (root / "only").mkdir()
    assert scan(job("only")).text.startswith("Nothing was scanned: there is no file here.")
    (root / "only/picture.png").write_bytes(b"\0\1\2")
    text = scan(job("only")).text
    assert text.startswith("Nothing was scanned: every file was left out.")
    assert "Left out: 1 (private, secret, binary or very large), such as only/picture.png." in text
    (root / "only/picture.png").write_text("x" * 60_000)
    assert scan(job("only")).text.startswith("Nothing was scanned: every file was left out.")


def test_what_is_not_read_because_of_its_name_is_named_and_is_no_all_clear(root: Path, job: Jobs) -> None:
    (root / "only/.git").mkdir(parents=True)
    for name in ("notes.txt", "secrets.env", ".env"):
        (root / "only" / name).write_text("x\n")
    assert scan(job("only")).text.splitlines()[:6] == [
        "No finding in 1 file (1 line), but 3 items were not read because of their names.",
        "",
        "- only/secrets.env was not read: its name says that it holds secrets",
        "- only/.env was not read: names that begin with a dot are private",
        "- only/.git/ was not read: names that begin with a dot are private",
        "",
    ]
    for number in range(12):
        (root / "only" / f"{number}.key").touch()
    text = scan(job("only")).text
    assert text.count(" was not read: ") == 10
    assert "- 5 more were not read because of their names" in text


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


@pytest.mark.long
def test_python_that_was_not_analysed_is_named_and_never_all_clear(root: Path, job: Jobs) -> None:
    (root / "old.py").write_text("import os\nprint 'x'\nos.system(raw_input())\n")
    (root / "deep.py").write_text("x = " + "-" * 20_000 + "1\n")
    for name in ("old.py", "deep.py"):
        assert "could not be analysed whole" in scan(job(name)).text.splitlines()[0]
    text = scan(job(".")).text
    assert "Nothing suspicious" not in text
    assert "Not analysed: deep.py (no Python that can be read), old.py (no Python that can be read)." in text
    (root / "app.py").write_text(APP)
    text = scan(job(".")).text
    assert text.startswith("Found ")
    assert "Not analysed: deep.py" in text


def test_a_scan_for_secrets_alone_needs_no_python_that_parses(root: Path, job: Jobs) -> None:
    (root / "old.py").write_text("print 'x'\n")
    assert scan(job("old.py", **{"for": "secrets"})).text.startswith("Nothing suspicious was found in 1 file")


def test_a_file_of_one_huge_line_is_named_as_not_analysed(root: Path, job: Jobs) -> None:
    (root / "min.js").write_text("function f(){return password.token.secret=x;}" * 40_000)
    text = scan(job(".")).text
    assert text.startswith("No finding in 2 files (4 lines), but 1 file could not be analysed whole and 10 items")
    assert "Not analysed: min.js (very long lines)." in text
    with pytest.raises(LineTooLong, match=r"min\.js has a line of more than 50,000 characters"):
        scan(job("min.js"))


def test_a_walk_that_was_cut_short_is_no_whole_scan(job: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.skills.workspace.MOST_FILES", 1)
    assert "Left out: at least " in scan(job(".")).text


IN_A_HURRY = """
import sys
from pathlib import Path
from adapters.skills import scan
from adapters.skills.job import Job
from adapters.skills.workspace import Workspace
scan.SCAN_SECONDS = 0.05
print(scan.scan(Job(Workspace(Path(sys.argv[1])), "", Path(sys.argv[1]), Path(sys.argv[1]).parent)).text)
"""


@pytest.mark.long
def test_a_scan_out_of_time_tells_what_it_has_and_what_it_left(root: Path) -> None:
    """In a process of its own, as always: the alarm would go off in the middle of whatever pytest is doing."""
    (root / "slow.py").write_text("x = 'a' + 'b' * 20 + call(1, 2)\n" * 20_000)
    run = subprocess.run([sys.executable, "-c", IN_A_HURRY, root], capture_output=True, text=True, check=True)
    assert "Nothing suspicious" not in run.stdout
    assert "slow.py (took too long)" in run.stdout


@pytest.mark.parametrize("value", ["", "abc", "abc12345", "fifteen-letters"])
def test_short_secrets_show_nothing(value: str) -> None:
    assert masked(value) == "… (fewer than 16 characters)"
