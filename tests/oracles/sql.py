"""Whether a text is one SQL statement: asked of the SQLite that Python has.

The statement is prepared behind EXPLAIN on an empty database, so nothing is ever run. What
SQLite complains of tells the rest:

- its parser's own complaints (`SYNTAX`) refuse the text. Some come from the parser's
  actions, which look at the words and not at any table;
- any other complaint ("no such table") accepts it, if the parser had read it to the end.
  It had if a character that is no token, put behind the text, is complained of instead;
- if it had not, the complaint (say, of a column defined twice) hides whatever the text
  holds behind that place, and the oracle does not know.
"""

from __future__ import annotations

import enum
import re
import sqlite3
from contextlib import closing

GRAMMAR_VERSION = (3, 40)
"""Of SQLite, which the grammar follows. Others have other syntax."""

SYNTAX = re.compile(
    r'near ".*": syntax error'
    r"|incomplete input"
    r"|unrecognized token: .*"
    r"|(?:ORDER BY|LIMIT) clause should come after .* not before"
    r"|a JOIN clause is required before .*"
    r"|unknown join type: .*"
    r"|unknown table option: .*"
    r"|syntax error after column name .*"
    r"|unsupported frame specification"
    r"|variable number must be between .*"
    # from Python
    r"|You can only execute one statement at a time\."
    r"|the query contains a null character",
    re.DOTALL,
)
BLANK = r"(?:[ \t\n\v\f\r\ufeff]|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
KIND = re.compile(
    BLANK + r"(?:(?:SELECT|VALUES|WITH|INSERT|REPLACE|UPDATE|DELETE)(?![\w$])"
    rf"|CREATE(?![\w$]){BLANK}(?:TEMP(?:ORARY)?(?![\w$]){BLANK})?TABLE(?![\w$]))",
    re.IGNORECASE | re.DOTALL,
)
MISSING = re.compile(r"(?P<kind>unknown database|no such collation sequence:?) (?P<name>.+)", re.S)
PREFIX = "EXPLAIN/**/"
"""Ends as a text begins: a vertical tab is white space behind other white space only."""

NO_TOKEN = "#"


class Verdict(enum.Enum):
    ACCEPTED = enum.auto()
    REFUSED = enum.auto()
    UNKNOWN = enum.auto()


def is_of_this_dialect() -> bool:
    """Whether Python's SQLite has the version and the options that the grammar follows."""
    with closing(sqlite3.connect(":memory:")) as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    return (
        sqlite3.sqlite_version_info[:2] == GRAMMAR_VERSION
        and {"ENABLE_UPDATE_DELETE_LIMIT", "MAX_VARIABLE_NUMBER=250000"} <= options
    )


class Oracle:
    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
        self._connection.execute("PRAGMA writable_schema = ON")  # tables may be named sqlite_x

    def close(self) -> None:
        self._connection.close()

    def verdict(self, data: bytes) -> Verdict:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return Verdict.REFUSED
        complaint = self.complaint(text)
        if KIND.match(text) is None or SYNTAX.fullmatch(complaint):
            return Verdict.REFUSED
        if not complaint:
            return Verdict.ACCEPTED
        return self._verdict_on_read(text)

    def complaint(self, text: str) -> str:
        """What SQLite or Python says when `text` is prepared, "" if nothing."""
        for _ in range(4):
            complaint = self._prepare(text)
            missing = MISSING.fullmatch(complaint)
            if missing is None or not self._supply(missing["kind"], _unquoted(missing["name"])):
                break
        return complaint

    def _prepare(self, text: str) -> str:
        try:
            self._connection.execute(PREFIX + text)
        except sqlite3.Error as error:
            complaint = str(error)
            # Parameters are missing only once everything has been prepared.
            return "" if complaint.startswith("Incorrect number of bindings") else complaint
        return ""

    def _supply(self, kind: str, name: str) -> bool:
        """Make what is missing and would keep the parser from reading on."""
        try:
            if kind == "unknown database":
                for row in self._connection.execute("PRAGMA database_list").fetchall():
                    if row[1] not in ("main", "temp"):
                        self._connection.execute("DETACH ?", (row[1],))
                self._connection.execute("ATTACH ':memory:' AS ?", (name,))
            else:
                self._connection.create_collation(name, lambda a, b: (a > b) - (a < b))
        except sqlite3.Error:
            return False
        return True

    def _verdict_on_read(self, text: str) -> Verdict:
        """The verdict on a text with a complaint that is not the parser's."""
        for place in (found.start() for found in re.finditer(";", text)):
            if self._reads(text[:place] + " "):
                # Only now does Python look behind the semicolon.
                rest = self.complaint("SELECT 1" + text[place:])
                return Verdict.REFUSED if rest else self._verdict_on_options(text[:place])
        # In case a comment is open at the end, it is closed.
        for end in ("\n", "\n*/"):
            if self._reads(text + end):
                return self._verdict_on_options(text + end)
        return Verdict.UNKNOWN

    def _reads(self, text: str) -> bool:
        return self.complaint(text + NO_TOKEN) == f'unrecognized token: "{NO_TOKEN}"'

    def _verdict_on_options(self, statement: str) -> Verdict:
        """Refuse a wrong table option at the end, if a later complaint had hidden that one.

        A comma behind it brings it out.
        """
        is_unknown = self.complaint(statement + ",").startswith("unknown table option")
        return Verdict.REFUSED if is_unknown else Verdict.ACCEPTED


def _unquoted(name: str) -> str:
    """A name as SQLite cites it, without the quotes that it may have in the text."""
    close = {"'": "'", '"': '"', "`": "`", "[": "]"}.get(name[:1])
    return name[1:-1].replace(2 * close, close) if close else name
