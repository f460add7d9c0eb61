"""Every way a skill can fail, by name; the docstring is the sentence its user reads.

A child reports an error as its code and facts (`wire.py`) and the hub builds it again from this table, so a child
that was taken over by a hostile document can at most choose among these sentences.
"""

from __future__ import annotations

from core.errors import Unavailable, UserError


class FileMissing(UserError):
    """There is no file {path} in the workspace. {hint}"""

    status = 404


class FileAmbiguous(UserError):
    """{path} fits several files: {choices}. Name one of them in full."""


class FileClosed(UserError):
    """{path} is closed to every skill: {why}. Copy what you need into an ordinary file and name that."""


class OutsideWorkspace(UserError):
    """{path} is outside the workspace, and skills work inside it only. Copy the file into the workspace first."""


class AddressGiven(UserError):
    """{path} is an address, and agents read only files of the workspace. Save the page there and name that file."""


class SeveralFiles(UserError):
    """{skill} takes one file at a time, and you named {files}. Name one; a single name with blanks in it goes in quotes."""


class NothingNamed(UserError):
    """{skill} needs a file to work on. Name a file of the workspace, for example: {example}"""


class NameUnusable(UserError):
    """{path} cannot be a file name here: {why}. Write the name as a listing of the workspace shows it."""


class NotAFile(UserError):
    """{path} is {what}, and this skill needs a file. Name a file inside the workspace."""


class FileTooLarge(UserError):
    """{path} has {size}; this skill takes at most {limit}. Send a smaller part of it."""


class LineTooLong(UserError):
    """{path} has a line of more than {limit} characters; this skill cannot take it in. Break its lines, and ask again."""


class FileEmpty(UserError):
    """{path} is empty. Put something into it and ask again."""


class FileBinary(UserError):
    """{path} is not text, and this skill cannot read it. Convert it to text, Markdown, PDF or DOCX first."""


class FileEncrypted(UserError):
    """{path} is protected by a password (or in an old Office format). Save an open copy of it and name that."""


class FileBroken(UserError):
    """{path} cannot be read as {kind}: {why}. Open it in the program that made it, save it again, and retry."""


class FileBomb(UserError):
    """{path} would unpack to {size}, far more than its own size allows for. Send a smaller part of it."""


class NoText(UserError):
    """{path} holds no running text. If it is a picture of text, run text recognition (OCR) over it first."""


class NoSentences(UserError):
    """{path} holds no sentences to choose from, only code, headings or single words. An outline of it may say more."""


class KindUnsupported(UserError):
    """{path} is not what {skill} works on. Name {kinds}."""


class QueryMissing(UserError):
    """There is nothing to search for. Write the words after "search for", or a phrase in quotes."""


class UnknownColumn(UserError):
    """{path} has no column {named}. Its columns are {columns}: name one of these."""


class NoNumbers(UserError):
    """{path} has no column of numbers to draw. Name a table with at least one."""


class NotNumbers(UserError):
    """{column} of {path} is no column of numbers, and {what}. Its columns of numbers are: {columns}. Name one of these."""


class ChartCrowded(UserError):
    """A chart of {path} cannot hold all of {named}: {most}. Ask for fewer of them, or for several charts."""


class ChartUnable(UserError):
    """No chart can show "{asked}". Ask for a total, average, median, minimum, maximum or count of all rows, by columns or time."""


class NothingToDraw(UserError):
    """{path} has no row with a value for {columns}. Name other columns, or fill these in."""


class LinesMissing(UserError):
    """{path} has only {lines}, so there is no line {first}. Name an earlier one."""


class PatternBad(UserError):
    """{pattern} is no regular expression: {why}. Search for the exact text instead, or mend it."""


class PatternSlow(UserError):
    """Looking for {pattern} took longer than {seconds} s. Search for plain words, or in one folder or file."""


class FileChanged(UserError):
    """Somebody else has changed {path} meanwhile, and it was left as it is. Read it again, then change it."""


class FileThere(UserError):
    """There is a file {path} already, and it was left as it is. Say that it is to be replaced, or choose another name."""


class NotUtf8(UserError):
    """{path} is not UTF-8 text, and is not changed in parts. Write it anew under another name."""


class TextNotFound(UserError):
    """{path} does not hold the text that was to be replaced. {hint}"""


class TextSeveral(UserError):
    """{path} holds that text {count} times (lines {lines}). Give more of what stands around the place meant, or replace all."""


class NothingChanges(UserError):
    """The new text for {path} is the same as the old one. Nothing was changed."""


class SameNames(UserError):
    """Two of the files are called {path}, and they go into one folder. Copy one of them under another name."""


class NoPage(UserError):
    """That address holds {kind}, which is no page to read. Name one of a page, of a text, or of a PDF."""


class SqlBad(UserError):
    """The question cannot be answered: {why}"""


class SqlSlow(UserError):
    """The question took longer than {seconds} s. Ask for less, or join on fewer rows."""


class NoRepository(UserError):
    """{path} is in no Git repository. Name the folder of one; git_clone fetches one from a host that the owner allows."""

    status = 404


class RepositoryStrange(UserError):
    """The Git repository {path} is not looked into: {why}. Clone it anew into the workspace."""


class GitFailed(UserError):
    """Git says: {why}."""


class NoRevision(UserError):
    """{path} has no branch or commit {name}. git_status names the branches, git_log the commits."""

    status = 404


class NoCommits(UserError):
    """{path} has no commit yet. git_commit makes one, on a branch."""

    status = 409


class BranchThere(UserError):
    """There is a branch {branch} already. Choose another name."""

    status = 409


class BranchNotYours(UserError):
    """{branch} is what people have checked out, or their main branch, and no tool commits to it. Name a branch of your own."""

    status = 409


class NothingChanged(UserError):
    """Nothing in {path} has changed since the last commit there. git_status says what has."""

    status = 409


class ForkTooLarge(UserError):
    """{path} is too large to work on a copy of it: {why}. Name a folder in it."""

    status = 413


class GitMissing(Unavailable):
    """Git is not installed on this machine. Install it (on Debian: apt install git)."""


class WorkspaceMissing(Unavailable):
    """The workspace folder cannot be opened. Make it again, or name another one in TIMMY_WORKSPACE."""


class SkillTimeout(Unavailable):
    """{skill} took longer than {seconds} s and was stopped. Try it on a smaller file."""


class SkillMemory(Unavailable):
    """{skill} needed more memory than it may have ({megabytes} MB) and was stopped. Try it on a smaller file."""


class SkillOutput(Unavailable):
    """{skill} produced more than it may deliver ({megabytes} MB) and was stopped. Ask for less of the file."""


class SkillCrashed(Unavailable):
    """{skill} broke off while it worked on {subject}. The log says more at debug level; other files still work."""


class SkillMissing(Unavailable):
    """The skill {skill} is not installed on this machine. Run `make install` and start the hub again."""
