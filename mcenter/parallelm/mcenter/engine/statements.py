"""Just enough of SQL's surface to serve it: what kind of statement this is, and how an INSERT is put together."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO target columns SETTINGS settings FORMAT format data``."""

    target: str
    """Table as it was written, or ``FUNCTION f(…)``."""
    columns: str
    """What stands between the brackets, or empty."""
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
class _Token:
    text: str
    start: int
    end: int
    is_word: bool

    def says(self, *words: str) -> bool:
        return self.is_word and self.text.upper() in words


def keyword(sql: str) -> str:
    """First word of the statement, in capitals; brackets before it do not count."""
    return next((token.text.upper() for token in _tokens(sql, 64) if token.is_word), "")


def is_read(sql: str) -> bool:
    """Whether the statement answers with rows."""
    return keyword(sql) in _READS


def is_describable(sql: str) -> bool:
    """Whether the statement can stand in ``DESCRIBE (…)``."""
    return keyword(sql) in _DESCRIBABLE


def insert_of(sql: str) -> Insert | None:
    """Parts of an INSERT that takes data, or None for any other statement, ``INSERT … SELECT`` among them."""
    tokens = list(_tokens(sql, 4096))
    if len(tokens) < 4 or not tokens[0].says("INSERT") or not tokens[1].says("INTO"):  # noqa: PLR2004 - INSERT INTO t VALUES
        return None
    at = 3 if tokens[2].says("TABLE") and not _is_sign(tokens, 3, "(") else 2
    start = at
    at = _target_end(tokens, at)
    target = sql[tokens[start].start : tokens[at - 1].end]
    columns = ""
    if _is_sign(tokens, at, "("):
        end = _bracket_end(tokens, at)
        if end < len(tokens) and tokens[at + 1].says("SELECT", "WITH"):
            return None
        columns = sql[tokens[at].end : tokens[end - 1].start].strip()
        at = end
    return _source(sql, tokens, at, target, columns)


def without_format(sql: str) -> tuple[str, str]:
    """Statement without its end (``;``, ``FORMAT x``), and the name of that format or an empty string."""
    tail: list[_Token] = []
    for token in _tokens(sql):
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


def _tokens(sql: str, most: int | None = None) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(sql):
        if match.lastgroup == "space":
            continue
        found.append(_Token(match[0], match.start(), match.end(), match.lastgroup == "word"))
        if most and len(found) == most:
            break
    return found


def _is_sign(tokens: list[_Token], at: int, sign: str) -> bool:
    return at < len(tokens) and tokens[at].text == sign


def _bracket_end(tokens: list[_Token], at: int) -> int:
    depth = 0
    for place in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[place].text, 0)
        if not depth:
            return place + 1
    return len(tokens)


def _target_end(tokens: list[_Token], at: int) -> int:
    if tokens[at].says("FUNCTION") and not _is_sign(tokens, at + 1, "."):
        return _bracket_end(tokens, at + 2)
    return at + 3 if _is_sign(tokens, at + 1, ".") else at + 1


def _source(sql: str, tokens: list[_Token], at: int, target: str, columns: str) -> Insert | None:
    settings_start: int | None = None
    for token in tokens[at:]:
        if token.says("SELECT", "WITH", "FROM", "WATCH") or token.text == "(":
            return None
        if token.says("SETTINGS"):
            settings_start = token.end
        if token.says("VALUES", "FORMAT"):
            settings = sql[settings_start : token.start].strip() if settings_start else ""
            if token.says("VALUES"):
                return Insert(target, columns, settings, "Values", _data(sql, token.end))
            name = tokens[tokens.index(token) + 1 : tokens.index(token) + 2]
            return Insert(target, columns, settings, name[0].text, _data(sql, name[0].end)) if name else None
    return None


def _data(sql: str, start: int) -> str:
    rest = sql[start:]
    return "" if rest.strip() in {"", ";"} else rest
