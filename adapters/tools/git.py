"""Git repositories of the workspace: looked at, and given a branch or a commit beside what people have checked out."""

from __future__ import annotations

import shutil
from typing import Annotated

from pydantic import Field

from adapters.tools.changes import seen
from adapters.tools.declared import said, tool, whole
from adapters.tools.here import Here
from core.agent.tool import BadCall, Effect, Output, Use

PLACES = "/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin"
_FOLDER = Field(description="a folder of a Git repository in the workspace; . is the workspace itself")
_REVISION = Field(description="a branch or a commit; empty is what is checked out")
_BRANCH = Field(min_length=1, max_length=100, description="the branch's name, such as fix-totals")


def _needs_hosts(here: Here) -> str:
    return (
        needs_git(here) if here.cloner else "no host is allowed. TIMMY_GIT_HOSTS names those that git_clone takes from"
    )


def needs_git(here: Here) -> str:
    """What Git lacks here; empty if nothing."""
    return here.knows("git") if shutil.which("git", path=PLACES) else "Git is not installed"


@tool(lambda a: f"look at the state of {said(a['folder'])} in Git", needs=needs_git)
async def git_status(here: Here, use: Use, *, folder: Annotated[str, _FOLDER] = ".") -> Output:
    """Say which branch of a Git repository is checked out, which others there are, and which files are changed."""
    return await here.ask("git", folder, do="status")


@tool(lambda a: f"read the last commits of {said(a['folder'])}", needs=needs_git)
async def git_log(
    here: Here,
    use: Use,
    *,
    folder: Annotated[str, _FOLDER] = ".",
    of: Annotated[str, _REVISION] = "",
    count: Annotated[int, Field(ge=1, le=100, description="how many")] = 20,
) -> Output:
    """List the last commits of a Git repository, or of one folder of it."""
    return await here.ask("git", folder, do="log", of=of, count=str(count))


@tool(lambda a: f"read what changed in {said(a['folder'])}", needs=needs_git)
async def git_diff(
    here: Here,
    use: Use,
    *,
    folder: Annotated[str, _FOLDER] = ".",
    of: Annotated[str, Field(description="the older branch or commit; empty is what is checked out")] = "",
    to: Annotated[str, Field(description="the newer one; empty is the files as they are now")] = "",
) -> Output:
    """Show what was changed in a Git repository since the last commit, or between two branches or commits."""
    return await here.ask("git", folder, do="diff", to=to, **{"from": of})


@tool(
    lambda a: f"make a branch {whole(a['branch'])} in {whole(a['folder'])}{_from(a['of'])}",
    effect=Effect.ASK,
    needs=needs_git,
    look=lambda here, _, folder, branch, of: here.look("git", folder, do="branch", branch=branch, of=of),
)
async def git_branch(
    here: Here,
    use: Use,
    *,
    branch: Annotated[str, _BRANCH],
    folder: Annotated[str, _FOLDER] = ".",
    of: Annotated[str, _REVISION] = "",
) -> Output:
    """Make a new branch in a Git repository, once the person has agreed; what is checked out stays as it is."""
    return await here.ask("git", folder, do="branch", branch=branch, of=of, again=str(use.again))


@tool(
    lambda a: (
        f"commit {', '.join(map(whole, a['files']))} to branch {whole(a['branch'])} of {whole(a['folder'])}:\n"
        f"{seen('+', a['message'])}"
    ),
    effect=Effect.ASK,
    needs=needs_git,
    look=lambda here, _, folder, files, **given: here.look("git", folder, do="commit", files="\n".join(files), **given),
)
async def git_commit(
    here: Here,
    use: Use,
    *,
    branch: Annotated[str, _BRANCH],
    message: Annotated[str, Field(min_length=1, max_length=2000, description="what was changed, in a sentence")],
    files: Annotated[
        list[str],
        Field(
            min_length=1, max_length=50, description="which changed files, as git_status names them; . is all of them"
        ),
    ],
    folder: Annotated[str, _FOLDER] = ".",
) -> Output:
    """Commit changed files to a branch of their own, once the person has agreed. Nothing is pushed."""
    named = "\n".join(files)
    return await here.ask("git", folder, do="commit", branch=branch, message=message, files=named, again=str(use.again))


async def _look_for_clone(here: Here, _: Use, *, url: str, name: str) -> None:
    if here.cloner is not None:
        await here.cloner.look(url, name)


@tool(
    lambda a: f"clone {whole(a['url'])} into the workspace{_as(a['name'])}",
    effect=Effect.ASK,
    outward="url",
    needs=_needs_hosts,
    look=_look_for_clone,
)
async def git_clone(
    here: Here,
    use: Use,
    *,
    url: Annotated[str, Field(description="its whole address, such as https://example.org/ann/shop.git")],
    name: Annotated[str, Field(max_length=100, description="the folder's name; its own if empty")] = "",
) -> Output:
    """Clone a public Git repository into the workspace, from a host that the owner allows, once the person has agreed."""
    if here.cloner is None:
        raise BadCall(tool="git_clone", why="no host is allowed.")
    found = await here.cloner.clone(url, name, again=bool(use.again))
    return Output(f"Cloned into {found}. git_log and git_status say more of it.", outside=False)


def _as(name: str) -> str:
    return f" as {whole(name)}" if name else ""


def _from(revision: str) -> str:
    return f" from {whole(revision)}" if revision else ""
