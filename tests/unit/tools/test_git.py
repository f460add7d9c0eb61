"""Git by way of tools: repositories are looked at and committed to, and whatever lies in them starts nothing."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from adapters.clockwork import SystemClock
from adapters.fetch.repositories import HostNotNamed
from adapters.skills.errors import (
    BranchNotYours,
    BranchThere,
    FileClosed,
    GitFailed,
    NameUnusable,
    NoCommits,
    NoRepository,
    NoRevision,
    NothingChanged,
    OutsideWorkspace,
    RepositoryStrange,
)
from adapters.skills.git import git as skill
from adapters.skills.job import Job
from adapters.skills.repository import Repository
from adapters.skills.workspace import Workspace
from adapters.tools.toolbox import Tools
from core.agent.tool import Use, Way, judge
from tests.project import SELF, everything, git
from tests.unit.skills.conftest import CANARY
from tests.unit.tools.bench import ANN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.errors import HubError
    from core.events import Json
    from tests.unit.tools.bench import Bench


@pytest.fixture
def shop(root: Path) -> Path:
    """A repository in the workspace: two commits on main, and changes that are not committed."""
    shop = root / "shop"
    shop.mkdir()
    git(shop, "init", "--quiet", "--initial-branch=main")
    (shop / "cart.py").write_text("total = 1\n")
    (shop / "old.py").write_text("old = 1\n")
    (shop / ".env").write_text("PASSWORD=harmless\n")
    git(shop, "add", ".")
    git(shop, "commit", "--quiet", "-m", "First")
    (shop / "docs").mkdir()
    (shop / "docs/read.md").write_text("# Read\n")
    git(shop, "add", ".")
    git(shop, "commit", "--quiet", "-m", "Docs")
    (shop / "cart.py").write_text("total = 2\n")
    (shop / "old.py").unlink()
    (shop / "new file.py").write_text("new = 1\n")
    (shop / ".env").write_text(f"PASSWORD={CANARY}\n")
    (shop / ".gitignore").write_text("*.log\n")
    (shop / "noise.log").write_text("noise\n")
    return shop


@pytest.mark.long
async def test_a_repository_says_how_it_stands(bench: Bench, shop: Path) -> None:
    git(shop, "branch", "idea")
    before = everything(shop)
    assert (await bench.call("git_status", folder="shop")).text.splitlines() == [
        "shop is on branch main.",
        "3 files changed.",
        "2 private names left out.",
        "Other branches: idea",
        "changed: cart.py",
        "gone: old.py",
        "not in Git yet: new file.py",
    ]
    log = (await bench.call("git_log", folder="shop/docs")).text.splitlines()
    assert log[0] == "The last 1 commit of shop:"
    assert log[1].endswith(" Ann: Docs")
    assert len((await bench.call("git_log", folder="shop", of="idea", count=1)).text.splitlines()) == 2
    diff = (await bench.call("git_diff", folder="shop")).text
    assert diff.startswith("2 files changed, 1 insertion(+), 2 deletions(-). 1 private file left out.\n")
    assert "-total = 1\n+total = 2" in diff
    assert CANARY not in diff
    between = (await bench.call("git_diff", folder="shop", of="main~1", to="main")).text
    assert "+# Read" in between
    assert (await bench.call("git_diff", folder="shop/docs")).text == "There is no difference to show."
    assert everything(shop) == before, "to look changes nothing"


@pytest.mark.long
async def test_a_commit_is_made_on_a_branch_of_its_own_beside_what_is_checked_out(bench: Bench, shop: Path) -> None:
    (shop / "new file.py").chmod(0o755)
    before = {name: content for name, content in everything(shop).items() if not name.startswith(".git/objects")}
    output = await bench.call(
        "git_commit", folder="shop", branch="fix/total", message="Totals\n\nare right", files=["."]
    )
    assert output.text.startswith("Committed 3 files as ")
    assert output.text.endswith(
        " on branch fix/total of shop. 2 files left out: private, links, or too large."
        " What is checked out is as it was, and nothing was sent anywhere."
    )
    after = everything(shop)
    assert {name: after[name] for name in before} == before
    assert git(shop, "log", "--format=%an %s", "fix/total").splitlines() == ["Timmy Totals", "Ann Docs", "Ann First"]
    assert git(shop, "diff", "--name-status", "main", "fix/total").split("\n") == [
        "M\tcart.py",
        "A\tnew file.py",
        "D\told.py",
    ]
    assert "100755" in git(shop, "ls-tree", "fix/total", "new file.py")
    git(shop, "fsck", "--strict")
    with pytest.raises(NothingChanged):
        await bench.call("git_commit", folder="shop", branch="fix/total", message="Again", files=["."])
    (shop / "cart.py").write_text("total = 3\n")
    await bench.call("git_commit", folder="shop", branch="fix/total", message="More", files=["shop/cart.py"])
    assert git(shop, "show", "fix/total:cart.py") == "total = 3"
    git(shop, "fsck", "--strict")


@pytest.mark.long
async def test_only_named_files_are_committed_and_old_branches_grow(bench: Bench, shop: Path) -> None:
    await bench.call("git_branch", folder="shop", branch="old", of="main~1")
    assert git(shop, "rev-parse", "old") == git(shop, "rev-parse", "main~1")
    git(shop, "pack-refs", "--all")
    await bench.call("git_commit", folder="shop", branch="old", message="One", files=["cart.py", "new file.py"])
    assert git(shop, "diff", "--name-only", "main~1", "old").splitlines() == ["cart.py", "new file.py"]
    assert git(shop, "rev-parse", "old~1") == git(shop, "rev-parse", "main~1")
    with pytest.raises(NothingChanged, match=r"docs/read\.md"):
        await bench.call("git_commit", folder="shop", branch="old", message="Two", files=["docs/read.md"])


@pytest.mark.parametrize("branch", ["main", "master", "HEAD", "trunk"])
@pytest.mark.long
async def test_nothing_is_committed_to_what_people_have_checked_out(bench: Bench, shop: Path, branch: str) -> None:
    git(shop, "update-ref", "refs/remotes/origin/live", "HEAD")
    git(shop, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/live")
    git(shop, "checkout", "--quiet", "-b", "work")
    before = git(shop, "for-each-ref")
    for name in (branch, "work", "live"):
        with pytest.raises(BranchNotYours):
            await bench.call("git_commit", folder="shop", branch=name, message="Mine", files=["."])
    assert git(shop, "for-each-ref") == before


@pytest.mark.parametrize(
    ("name", "given", "error"),
    [
        ("git_status", {"folder": "deep"}, RepositoryStrange),
        ("git_status", {"folder": "shop/.git"}, FileClosed),
        ("git_status", {"folder": "../outside"}, OutsideWorkspace),
        ("git_log", {"of": "nowhere"}, NoRevision),
        ("git_log", {"of": "--output=canary"}, NoRevision),
        ("git_diff", {"of": "-p"}, NoRevision),
        ("git_branch", {"branch": "main"}, BranchThere),
        ("git_branch", {"branch": "main/x"}, GitFailed),
        ("git_branch", {"branch": "a..b"}, NameUnusable),
        ("git_branch", {"branch": "-d"}, NameUnusable),
        ("git_branch", {"branch": "x\x00y"}, NameUnusable),
        ("git_branch", {"branch": "x", "of": "--all"}, NoRevision),
        ("git_commit", {"branch": "../../x", "message": "m", "files": ["."]}, NameUnusable),
        ("git_commit", {"branch": "x.lock", "message": "m", "files": ["."]}, NameUnusable),
    ],
)
@pytest.mark.long
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    bench: Bench, shop: Path, name: str, given: dict[str, Json], error: type[HubError]
) -> None:
    before = everything(shop)
    with pytest.raises(error) as then:
        await bench.given(name, {"folder": "shop", **given})
    if name in {"git_branch", "git_commit"}:
        with pytest.raises(error) as first_said:
            await bench.look(name, folder="shop", **given)
        assert str(first_said.value) == str(then.value)
    assert everything(shop) == before


@pytest.mark.long
async def test_to_look_first_at_a_commit_and_a_branch_changes_nothing(
    bench: Bench, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(shop)
    with pytest.raises(BranchNotYours):
        await bench.look("git_commit", folder="shop", branch="main", message="Mine", files=["."])
    await bench.look("git_commit", folder="shop", branch="fix", message="Mine", files=["."])
    await bench.look("git_branch", folder="shop", branch="fix")
    assert everything(shop) == before
    monkeypatch.setattr(os, "access", lambda name, *_, **__: name != "refs/heads")
    with pytest.raises(GitFailed, match=r"nothing may be written into shop/\.git"):
        Repository.of(Workspace(shop.parent), "shop", _place(bench.folder)).may_publish()


@pytest.mark.long
async def test_where_there_is_no_repository_and_where_one_is_new(bench: Bench, root: Path) -> None:
    (root / ".git/config").unlink()
    (root / ".git").rmdir()
    with pytest.raises(NoRepository, match="deep"):
        await bench.call("git_status", folder="deep")
    git(root, "init", "--quiet", "--initial-branch=main")
    status = (await bench.call("git_status")).text
    assert status.startswith("The workspace is on branch main, without a commit yet.\n4 files changed.\n")
    assert "ledger" not in status, "the hub's own folder"
    assert "venv" not in status
    with pytest.raises(NoCommits):
        await bench.call("git_log")
    await bench.call("git_commit", branch="first", message="First", files=["."])
    assert git(root, "ls-tree", "-r", "--name-only", "first").splitlines() == ["deep/notes.txt", "welcome.md"]


@pytest.mark.long
async def test_a_commit_in_a_repository_of_another_hash_and_with_packs(bench: Bench, root: Path) -> None:
    shop = root / "shop"
    shop.mkdir()
    git(shop, "init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    (shop / "cart.py").write_text("total = 1\n")
    git(shop, "add", ".")
    git(shop, "commit", "--quiet", "-m", "First")
    git(shop, "gc", "--quiet")
    git(shop, "update-index", "--split-index")
    (shop / "cart.py").write_text("total = 2\n")
    assert "changed: cart.py" in (await bench.call("git_status", folder="shop")).text
    await bench.call("git_commit", folder="shop", branch="fix", message="Fix", files=["."])
    assert git(shop, "show", "fix:cart.py") == "total = 2"
    git(shop, "fsck", "--strict")


# What lies in a hostile repository -----------------------------------------------------------------------------

HOOKS = (
    *("applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg"),
    *(
        "commit-msg",
        "post-commit",
        "pre-rebase",
        "post-checkout",
        "post-merge",
        "pre-push",
        "pre-auto-gc",
        "post-rewrite",
    ),
    *(
        "sendemail-validate",
        "fsmonitor-watchman",
        "post-index-change",
        "reference-transaction",
        "update",
        "pre-receive",
    ),
    *("post-receive", "post-update", "proc-receive", "push-to-checkout"),
)

TRAPS = """
[core]
    fsmonitor = {trap}
    hooksPath = {hooks}
    sshCommand = {trap}
    editor = {trap}
    pager = {trap}
    askPass = {trap}
    gitProxy = {trap}
    alternateRefsCommand = {trap}
    attributesFile = {attributes}
    excludesFile = {attributes}
    worktree = {outside}
[pager]
    status = {trap}
    log = {trap}
    diff = {trap}
[alias]
    status = !{trap}
    log = !{trap}
[diff]
    external = {trap}
[diff "evil"]
    command = {trap}
    textconv = {trap}
[filter "evil"]
    clean = {trap}
    smudge = {trap}
    process = {trap}
    required = true
[merge "evil"]
    driver = {trap}
[gpg]
    program = {trap}
[gpg "ssh"]
    program = {trap}
    defaultKeyCommand = {trap}
[commit]
    gpgSign = true
    template = {outside}/secret-plan.md
[log]
    showSignature = true
    mailmap = true
[mailmap]
    file = {outside}/secret-plan.md
[credential]
    helper = !{trap}
[sequence]
    editor = {trap}
[interactive]
    diffFilter = {trap}
[uploadpack]
    packObjectsHook = {trap}
[gc]
    auto = 1
    recentObjectsHook = {trap}
[trailer "evil"]
    command = {trap}
    cmd = {trap}
[include]
    path = {outside}/more.config
[extensions]
    worktreeConfig = true
    partialClone = origin
[remote "origin"]
    url = ext::{trap}
    promisor = true
    vcs = evil
    uploadpack = {trap}
    receivepack = {trap}
    fetch = +refs/heads/*:refs/remotes/origin/*
[protocol]
    allow = always
[protocol "ext"]
    allow = always
[submodule]
    recurse = true
[submodule "sub"]
    update = !{trap}
    url = ext::{trap}
    active = true
"""


@pytest.fixture
def trapped(shop: Path, tmp_path: Path) -> Path:
    """That repository with everything in it that git is known to start; each writes its name into a file beside the workspace."""
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/sprung\ncat\n')
    trap.chmod(0o755)
    signed = git(shop, "cat-file", "commit", "HEAD").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    (tmp_path / "signed").write_text(f"{signed}\n")
    git(shop, "reset", "--quiet", "--soft", git(shop, "hash-object", "-t", "commit", "-w", str(tmp_path / "signed")))
    (shop / ".gitattributes").write_text("* filter=evil diff=evil merge=evil ident text=auto\n")
    (shop / "sub").mkdir()
    git(shop / "sub", "init", "--quiet")
    (shop / "sub/file").touch()
    git(shop / "sub", "add", ".")
    git(shop / "sub", "commit", "--quiet", "-m", "Sub")
    git(shop, "-c", "advice.addEmbeddedRepo=false", "add", "sub")
    (shop / "sub/file").write_text("changed\n")
    (shop / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n\tupdate = !' + str(trap) + "\n")
    facts = {
        "trap": trap,
        "hooks": tmp_path / "hooks",
        "attributes": shop / ".gitattributes",
        "outside": tmp_path / "outside",
    }
    (tmp_path / "outside/more.config").write_text(f"[core]\n\tfsmonitor = {trap}\n")
    for place in (shop / ".git", shop / "sub/.git"):
        (place / "hooks").mkdir(exist_ok=True)
        (place / "config").write_text(TRAPS.format(**facts))
        (place / "config.worktree").write_text(TRAPS.format(**facts))
        (place / "info/attributes").write_text("* filter=evil diff=evil merge=evil\n")
    (tmp_path / "hooks").mkdir()
    for name in HOOKS:
        for folder in (tmp_path / "hooks", shop / ".git/hooks"):
            (folder / name).symlink_to(trap)
    return shop


def test_nothing_that_lies_in_a_repository_is_started(trapped: Path, root: Path, tmp_path: Path) -> None:
    jobs = (
        {"do": "status"}, {"do": "log"}, {"do": "diff"}, {"do": "diff", "from": "HEAD~1", "to": "HEAD"},
        {"do": "branch", "branch": "mine"}, {"do": "commit", "branch": "mine", "message": "Mine"},
    )  # fmt: skip
    said = []
    for number, options in enumerate(jobs):
        place = tmp_path / f"job-{number}"
        place.mkdir()
        said.append(skill(Job(Workspace(root, [root / "data"]), "shop", place, place, options)).text)
    assert not (tmp_path / "sprung").exists()
    assert CANARY not in "".join(said)
    assert "changed: cart.py" in said[0]
    assert "+total = 2" in said[2]
    assert git(trapped, "--no-replace-objects", "cat-file", "-p", "mine:cart.py") == "total = 2"


@pytest.mark.parametrize(
    "words",
    [["status"], ["diff", "HEAD"], ["log", "-1"], ["commit", "-qam", "x"], ["add", "cart.py"], ["show", "HEAD"]],
)
@pytest.mark.long
def test_what_lies_there_is_started_where_git_is_run_in_it(trapped: Path, tmp_path: Path, words: list[str]) -> None:
    config = trapped / ".git/config"
    config.write_text(
        config.read_text()
        .replace("worktree =", "x =")
        .replace("worktreeConfig = true", "")
        .replace("partialClone", "x")
    )
    subprocess.run(["git", "--paginate", *words], cwd=trapped, env=SELF, capture_output=True, check=False)
    assert (tmp_path / "sprung").exists()


def _linked(at: str) -> Callable[[Path, Path], None]:
    """A part of the repository is a link to the same part of another one, which is private."""

    def link(shop: Path, private: Path) -> None:
        place = shop / ".git" / at
        if place.is_dir():
            place.rename(place.with_name("moved"))
        else:
            place.unlink(missing_ok=True)
        place.symlink_to(private / ".git" / at)

    return link


def _file(shop: Path, private: Path) -> None:
    (shop / ".git").rename(shop / "git")
    (shop / ".git").write_text(f"gitdir: {private}/.git\n")


def _link(shop: Path, private: Path) -> None:
    (shop / ".git").rename(shop / "git")
    (shop / ".git").symlink_to(private / ".git")


def _alternates(shop: Path, private: Path) -> None:
    (shop / ".git/objects/info").mkdir(exist_ok=True)
    (shop / ".git/objects/info/alternates").write_text(f"{private}/.git/objects\n")


def _common(shop: Path, private: Path) -> None:
    (shop / ".git/commondir").write_text(f"{private}/.git\n")


def _pipe(shop: Path, private: Path) -> None:
    (shop / ".git/HEAD").unlink()
    os.mkfifo(shop / ".git/HEAD")


def _elsewhere(shop: Path, private: Path) -> None:
    (shop / ".git/HEAD").write_text("ref: refs/../../../private/.git/refs/heads/main\n")


@pytest.mark.parametrize(
    "trick",
    [
        _file, _link, _alternates, _common, _pipe, _elsewhere, _linked("objects"), _linked("HEAD"), _linked("objects/info"),
        _linked("objects/pack"),
    ],
)  # fmt: skip
@pytest.mark.long
async def test_a_repository_that_leads_elsewhere_is_refused(
    bench: Bench, shop: Path, tmp_path: Path, trick: Callable[[Path, Path], None]
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    git(private, "init", "--quiet", "--initial-branch=main")
    (private / "plan.md").write_text(CANARY)
    git(private, "add", ".")
    git(private, "commit", "--quiet", "-m", CANARY)
    trick(shop, private)
    before = everything(private)
    tries: dict[str, dict[str, Json]] = {
        "git_status": {}, "git_log": {}, "git_commit": {"branch": "mine", "message": "m", "files": ["."]},
    }  # fmt: skip
    for name, given in tries.items():
        with pytest.raises(RepositoryStrange) as refused:
            await bench.given(name, {"folder": "shop", **given})
        assert CANARY not in str(refused.value)
    assert everything(private) == before


@pytest.mark.long
async def test_who_changes_a_branch_meanwhile_is_not_overtaken(bench: Bench, shop: Path) -> None:
    git(shop, "branch", "fix")
    (shop / ".git/refs/heads/fix.lock").touch()
    with pytest.raises(GitFailed, match="somebody else changes fix just now"):
        await bench.call("git_commit", folder="shop", branch="fix", message="m", files=["."])
    assert git(shop, "rev-parse", "fix") == git(shop, "rev-parse", "main")


@pytest.mark.long
async def test_links_among_branches_and_files_lead_nowhere(bench: Bench, shop: Path, tmp_path: Path) -> None:
    secret = tmp_path / "outside/secret-plan.md"
    git(shop, "update-ref", "refs/heads/x/y", "HEAD")
    (shop / ".git/refs/heads/x/y").unlink()
    (shop / ".git/refs/heads/x/y").symlink_to(secret)
    (shop / ".git/refs/heads/x").rename(shop / ".git/refs/heads/z")
    (shop / ".git/refs/heads/x").symlink_to(tmp_path / "outside")
    (shop / ".git/packed-refs").symlink_to(secret)
    (shop / "link.md").symlink_to(secret)
    os.link(secret, shop / "hard.md")
    (shop / "cart.py").unlink()
    (shop / "cart.py").symlink_to(secret)
    said = [
        (await bench.call("git_status", folder="shop")).text,
        (await bench.call("git_diff", folder="shop")).text,
        (await bench.call("git_commit", folder="shop", branch="mine", message="m", files=["."])).text,
    ]
    with pytest.raises(GitFailed, match="x/new cannot be written there"):
        await bench.call("git_branch", folder="shop", branch="x/new")
    assert CANARY not in "".join(said)
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["secret-plan.md"]
    for name in ("packed-refs", "refs/heads/x", "refs/heads/z/y"):
        (shop / ".git" / name).unlink()
    assert CANARY not in git(shop, "log", "-p", "mine")


def _place(folder: Path) -> Path:
    place = folder / "place"
    place.mkdir()
    return place


@pytest.mark.long
async def test_what_was_done_before_the_hub_was_stopped_is_not_done_twice_nor_called_a_failure(
    bench: Bench, shop: Path
) -> None:
    since = SystemClock().now() - 60_000
    given: dict[str, Json] = {"folder": "shop", "branch": "fix", "message": "Totals", "files": ["cart.py"]}
    await bench.given("git_commit", given)
    made = git(shop, "rev-parse", "fix")
    (shop / "cart.py").write_text("total = 3\n")  # somebody goes on meanwhile
    told = (await bench.given("git_commit", given, again=since)).text
    assert told.startswith(f"Committed as {made[:10]} on branch fix of shop, before the hub was stopped.")
    assert git(shop, "rev-parse", "fix") == made
    await bench.given("git_commit", given | {"message": "Another"}, again=since)
    assert git(shop, "log", "--format=%s", "-2", "fix") == "Another\nTotals"
    assert "before the hub was stopped" in (await bench.given("git_commit", given, again=since)).text
    await bench.call("git_branch", folder="shop", branch="old", of="main~1")
    with pytest.raises(BranchThere):
        await bench.call("git_branch", folder="shop", branch="old", of="main~1")
    told = (await bench.call("git_branch", again=since, folder="shop", branch="old", of="main~1")).text
    assert told.startswith(f"shop has a branch old, at {git(shop, 'rev-parse', 'old')[:10]}. The hub was stopped while")


@pytest.mark.long
async def test_of_the_second_in_which_it_was_begun_a_commit_is_told_as_one_that_may_be_it(
    bench: Bench, shop: Path
) -> None:
    """Git's times are whole seconds: one of the same words may be that of a call before."""
    given: dict[str, Json] = {"folder": "shop", "branch": "fix", "message": "Totals", "files": ["cart.py"]}
    await bench.given("git_commit", given)
    made = git(shop, "rev-parse", "fix")
    second = int(git(shop, "log", "-1", "--format=%ct", "fix"))
    (shop / "cart.py").write_text("total = 3\n")
    told = (await bench.given("git_commit", given, again=second * 1000 + 999)).text
    assert told.startswith(f"Branch fix of shop has {made[:10]} with these words, of the second in which")
    assert "may be" in told
    assert git(shop, "rev-parse", "fix") == made, "it is not done twice"
    told = (await bench.given("git_commit", given, again=second * 1000 - 1)).text
    assert told.startswith(f"Committed as {made[:10]} on branch fix of shop, before the hub was stopped.")


@pytest.mark.long
async def test_what_was_not_done_before_the_hub_was_stopped_is_done(bench: Bench, shop: Path) -> None:
    """A commit of the same words that was made earlier, or by somebody else, is another."""
    given: dict[str, Json] = {"folder": "shop", "branch": "fix", "message": "Totals", "files": ["cart.py"]}
    await bench.given("git_commit", given)
    (shop / "cart.py").write_text("total = 3\n")
    later = SystemClock().now() + 60_000
    assert (await bench.given("git_commit", given, again=later)).text.startswith("Committed 1 file as ")
    assert git(shop, "rev-list", "--count", "main..fix") == "2"
    theirs = git(shop, "commit-tree", "-p", "fix", "-m", "More", "fix^{tree}")
    git(shop, "update-ref", "refs/heads/fix", theirs)
    (shop / "cart.py").write_text("total = 4\n")
    await bench.given("git_commit", given | {"message": "More"}, again=1)
    assert git(shop, "rev-list", "--count", "main..fix") == "4"
    await bench.call("git_branch", again=1, folder="shop", branch="new")
    assert git(shop, "rev-parse", "new") == git(shop, "rev-parse", "main")


@dataclass
class Cloner:
    hosts: frozenset[str] = frozenset({"codeberg.org"})
    asked: list[tuple[str, str]] = field(default_factory=list)
    again: bool = False

    async def look(self, url: str, name: str = "") -> None:
        if "codeberg.org" not in url:
            raise HostNotNamed(host="it", allowed="codeberg.org")

    async def clone(self, url: str, name: str = "", *, again: bool = False) -> str:
        self.again = again
        self.asked.append((url, name))
        return name or "shop"


async def test_repositories_are_cloned_where_the_owner_allows_a_host(bench: Bench) -> None:
    offered = [tool.spec.name for tool in bench.tools.offered(["git_status", "git_clone"], ANN)]
    assert offered == ["git_status"]
    assert (
        "git_clone",
        "no host is allowed. TIMMY_GIT_HOSTS names those that git_clone takes from",
    ) in bench.tools.closed()
    cloner = Cloner()
    tools = Tools(replace(bench.here, cloner=cloner))
    tool = tools.offered(["git_clone"], ANN)[0]
    given = tool.read({"url": "https://codeberg.org/ann/shop.git"})
    assert judge(tool, given, tainted=False, named=["https://codeberg.org/ann/shop.git"]) is Way.ASK
    assert tool.words(given) == "clone https://codeberg.org/ann/shop.git into the workspace"
    with pytest.raises(HostNotNamed):
        await tool.look({**given, "url": "https://example.org/ann/shop.git"}, Use(ANN, "telegram:5", "k"))
    await tool.look(given, Use(ANN, "telegram:5", "k"))
    assert (await tool.run(given, Use(ANN, "telegram:5", "k"))).text.startswith("Cloned into shop.")
    assert cloner.asked == [("https://codeberg.org/ann/shop.git", "")]
    assert not cloner.again
    await tool.run(given, Use(ANN, "telegram:5", "k", again=1))
    assert cloner.again


def test_what_is_agreed_to_is_all_shown(bench: Bench) -> None:
    tool = bench.tools.find("git_commit")
    assert tool is not None
    given = tool.read(
        {"branch": "fix", "message": "Totals\n\nare right", "files": ["cart.py", "a b.py"], "folder": "shop"}
    )
    assert tool.words(given) == "commit cart.py, a b.py to branch fix of shop:\n+ Totals\n+ \n+ are right"
    assert judge(tool, given, tainted=False, named=()) is Way.ASK
