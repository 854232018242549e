"""Just enough of SQL's surface to serve it: what kind of statement this is, and how an INSERT is put together."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.mcenter.engine.errors import SYNTAX_ERROR, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
      | (?P<word>\w+)
      | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_READS = frozenset(
    {"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK", "VALUES"}
)
_DESCRIBABLE = frozenset({"SELECT", "WITH", "FROM"})


_MAY_HAVE_END = re.compile(r";|\bFORMAT\s", re.IGNORECASE)
_SHORT = 64


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO target columns SETTINGS settings FORMAT format data``."""

    target: str
    """Table as it was written, or ``FUNCTION f(…)``."""
    columns: str
    """The text between the brackets, or empty."""
    settings: str
    format: str
    data: str
    """What follows the format's name in the text itself."""

    @property
    def is_function(self) -> bool:
        """Whether the target is a table function."""
        return self.target[:8].upper() == "FUNCTION"

    def in_utf8(self) -> Insert:
        """The same insert, without its data, when it was read from bytes as Latin-1."""
        target, columns, settings, format_name = (
            part.encode("latin-1").decode("utf-8", "replace")
            for part in (self.target, self.columns, self.settings, self.format)
        )
        return Insert(target, columns, settings, format_name, data="")

    @property
    def header_query(self) -> str:
        """Query whose columns are those that this insert takes."""
        source = self.target[len("FUNCTION") :] if self.is_function else self.target
        return f"SELECT {self.columns or '*'} FROM {source}"  # noqa: S608 - parts of the client's own statement

    def from_file(self, path: str, format_name: str) -> str:
        """The same insert with a file as its source."""
        columns = f" ({self.columns})" if self.columns else ""
        settings = f" SETTINGS {self.settings}" if self.settings else ""
        return (
            f"INSERT INTO {self.target}{columns} FROM INFILE {literal(path)}{settings} FORMAT {format_name}"
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a sign, or a quoted text with its quotes; ``start`` and ``end`` are its place in the statement."""

    text: str
    start: int
    end: int
    kind: str

    @property
    def is_word(self) -> bool:
        """Whether it is a keyword, a name or a number."""
        return self.kind == "word"

    @property
    def is_quoted(self) -> bool:
        """Whether it is a string or a quoted name."""
        return self.kind == "quoted"

    @property
    def is_string(self) -> bool:
        """Whether it is a string in single quotes."""
        return self.is_quoted and self.text[0] == "'"

    @property
    def unquoted(self) -> str:
        """Its text without quotes; escapes stay."""
        return self.text[1:-1] if self.is_quoted else self.text

    def says(self, *words: str) -> bool:
        """Whether it is one of these words, which are in capitals."""
        return self.is_word and self.text.upper() in words


def keyword(sql: str) -> str:
    """First word of the statement, in capitals; brackets before it do not count."""
    return next((token.text.upper() for token in itertools.islice(tokens(sql), 64) if token.is_word), "")


def is_read(sql: str) -> bool:
    """Whether the statement answers with rows."""
    return keyword(sql) in _READS


def is_describable(sql: str) -> bool:
    """Whether the statement can stand in ``DESCRIBE (…)``."""
    return keyword(sql) in _DESCRIBABLE


def insert_of(sql: str) -> Insert | None:
    """Parts of an INSERT that takes data, or None for any other statement, ``INSERT … SELECT`` among them.

    Reads no further than to the data, however large that is.
    """
    cursor = _Cursor(sql)
    if not (cursor.take("INSERT") and cursor.take("INTO")):
        return None
    cursor.take("TABLE")
    target = _target(cursor)
    columns = ""
    if cursor.sees("("):
        columns = cursor.bracketed()[1:-1].strip()
        if keyword(columns) in {"SELECT", "WITH"}:
            return None
    settings = ""
    if cursor.take("SETTINGS"):
        settings = cursor.up_to("VALUES", "FORMAT", "SELECT", "WITH").strip()
    if cursor.take("VALUES"):
        return Insert(target, columns, settings, "Values", cursor.rest())
    if cursor.take("FORMAT") and (name := cursor.next()):
        return Insert(target, columns, settings, name.text, cursor.rest())
    return None


def without_format(sql: str) -> tuple[str, str]:
    """Statement without ``;`` and ``FORMAT x`` at its end, and the name of that format or an empty string.

    Another statement after a ``;`` is a syntax error, as it is to a ClickHouse server.
    """
    if not _MAY_HAVE_END.search(sql):
        return sql, ""
    tail: list[Token] = []
    closed = False
    for token in tokens(sql):
        if closed and token.text != ";":
            raise EngineError(
                f"Multi-statements are not allowed, and this one goes on: {token.text}", SYNTAX_ERROR
            )
        closed = token.text == ";"
        tail = [*tail[-3:], token]
    while tail and tail[-1].text == ";":
        sql = sql[: tail.pop().start]
    if len(tail) >= 2 and tail[-2].says("FORMAT") and tail[-1].is_word:  # noqa: PLR2004 - the two words FORMAT x
        return sql[: tail[-2].start], tail[-1].text
    return sql, ""


def literal(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def tokens(sql: str) -> Iterator[Token]:
    """The statement's tokens, without blanks and comments."""
    for match in _TOKEN.finditer(sql):
        if match.lastgroup != "space":
            yield Token(match[0], match.start(), match.end(), match.lastgroup or "")


def spaces(sql: str) -> Iterator[str]:
    """The blanks and comments between the tokens."""
    return (match[0] for match in _TOKEN.finditer(sql) if match.lastgroup == "space")


class _Cursor:
    """Walks over the tokens of a statement; looks at the next one only when asked to."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._tokens = tokens(sql)
        self._end = 0
        self._peeked: list[Token] = []

    def peek(self) -> Token | None:
        if not self._peeked:
            self._peeked.extend(itertools.islice(self._tokens, 1))
        return self._peeked[0] if self._peeked else None

    def next(self) -> Token | None:
        token = self.peek()
        if token:
            self._peeked.clear()
            self._end = token.end
        return token

    def sees(self, sign: str) -> bool:
        token = self.peek()
        return token is not None and token.text == sign

    def take(self, word: str) -> bool:
        """Go over the next token if it is this word."""
        token = self.peek()
        return token is not None and token.says(word) and self.next() is not None

    def bracketed(self) -> str:
        """Go over a bracket and all in it."""
        token = self.peek()
        start = token.start if token else self._end
        depth = 0
        while token := self.next():
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if not depth:
                break
        return self._sql[start : self._end]

    def up_to(self, *words: str) -> str:
        """Go to the first of these words."""
        start = self._end
        while (token := self.peek()) and not token.says(*words):
            self.next()
        return self._sql[start : token.start if token else self._end]

    def rest(self) -> str:
        """What follows; empty when that is nothing but blanks and a ``;``."""
        after = self._sql[self._end :]
        return "" if len(after) < _SHORT and after.strip() in {"", ";"} else after


def _target(cursor: _Cursor) -> str:
    first = cursor.next()
    if first is None:
        return ""
    if first.says("FUNCTION") and not cursor.sees("."):
        name = cursor.next()
        return f"FUNCTION {name.text if name else ''}{cursor.bracketed()}"
    if not cursor.sees("."):
        return first.text
    cursor.next()
    second = cursor.next()
    return f"{first.text}.{second.text if second else ''}"
