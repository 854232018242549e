"""What a read-only user can ask: the engine's ``readonly = 2`` refuses most, this refuses the rest.

In ``readonly = 2`` the embedded engine still ends other sessions' queries, stops merges, and reads and writes files and
addresses: by table functions, by engines of temporary tables, by ``INTO OUTFILE``, by a path in the place of a table.
Statements are judged by their tokens. Where this tokenizer and the engine's could see different tokens (heredocs,
typographic quotes, nested comments), no word of the text may be one of those that are refused, wherever it is.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from parallelm.mcenter.engine.errors import READONLY, EngineError
from parallelm.mcenter.engine.statements import Token, spaces, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HINT = (
    'this user may only read: to write, connect as the administrator (`mcenter query --write "…"`, '
    '`load_settings(role="admin")`)'
)
_STATEMENTS = frozenset(
    {
        "SELECT", "WITH", "FROM", "VALUES", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK", "USE", "SET",
        "CREATE", "INSERT", "DROP", "TRUNCATE",
    }
)  # fmt: skip
"""CREATE, INSERT, DROP and TRUNCATE for temporary tables: the engine itself refuses them for others."""
HARMLESS_TABLE_FUNCTIONS = frozenset(
    {
        "eval", "format", "fuzzjson", "generaterandom", "generate_series", "generateseries", "input", "merge",
        "mergetreeindex", "mergetreeprojection", "null", "numbers", "numbers_mt", "primes", "sqlstandardvalues", "values",
        "view", "viewexplain", "viewifpermitted", "zeros", "zeros_mt",
    }
)  # fmt: skip
"""Those that touch nothing but the tables they name. Any other, of a newer engine too, is refused."""
_ALWAYS_REFUSED = frozenset({"file", "python", "hascolumnintable"})
"""Ordinary functions that reach outside, beside all whose name begins with ``ai`` as in ``aiGenerate``."""
_TEMPORARY_ENGINES = frozenset({"MEMORY", "MERGETREE", "LOG", "TINYLOG", "STRIPELOG", "SET", "JOIN", "NULL"})
_REFUSED_WORDS = frozenset({"OUTFILE", "INFILE", "IDENTIFIER", "FUNCTION", "ENGINE", "PARALLEL"})
_BEFORE_A_TABLE = frozenset({"FROM", "JOIN", "TABLE", "INTO", "DESCRIBE", "DESC", "EXISTS", "VIEW", "CHECK"})
_AFTER_TABLES = frozenset(
    {
        "WHERE", "PREWHERE", "GROUP", "HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "FETCH", "SETTINGS",
        "FORMAT", "UNION", "INTERSECT", "EXCEPT", "SELECT", "ARRAY", "ON", "USING",
    }
)  # fmt: skip


def refused_functions(table_functions: Iterable[str]) -> frozenset[str]:
    """Names, in small letters, that a reader may not call, out of all table functions that the engine has."""
    return frozenset(name.lower() for name in table_functions) - HARMLESS_TABLE_FUNCTIONS | _ALWAYS_REFUSED


def check_statement(sql: str, refused: frozenset[str]) -> None:
    """Raise ``EngineError`` with code 164 for a statement that is not for a reader; ``refused`` as above."""
    found = list(tokens(sql))
    first = next((token.text.upper() for token in found if token.is_word), "")
    if first and first not in _STATEMENTS:
        raise _refusal(f"{first} is not for readers")
    if first == "CREATE" and not any(token.says("TEMPORARY") for token in found[:4]):
        raise _refusal("CREATE is for temporary tables only")
    if _is_ambiguous(sql, found):
        _check_words(sql, refused)
        return
    _check_calls(found, refused)
    _check_words_of(found, first)
    for path in _paths_as_tables(found):
        raise _refusal(f"the file or address {path[:100]} cannot be read as a table")


def _refusal(reason: str) -> EngineError:
    return EngineError(f"{reason}; {HINT}", READONLY)


def with_hint(error: EngineError) -> EngineError:
    """The error, with what to do where the engine refused a reader's statement."""
    if error.code != READONLY or HINT in str(error):
        return error
    said = re.sub(r"^(Code: \d+\. DB::Exception: )+", r"\1", str(error).removesuffix("(READONLY)")).strip(
        " ."
    )
    return EngineError(f"{said}: {HINT} (READONLY)")


def _is_ambiguous(sql: str, found: Sequence[Token]) -> bool:
    if any(space.count("/*") > 1 for space in spaces(sql)):
        return True
    return any(
        not token.is_word and not token.is_quoted and not _is_plain_sign(token.text) for token in found
    )


def _is_plain_sign(sign: str) -> bool:
    return sign.isascii() and sign.isprintable() and sign != "$"


def _check_words(sql: str, refused: frozenset[str]) -> None:
    """Of a text whose tokens are not certain, no word at all may be one that could do harm."""
    for word in re.findall(r"\w+", sql):
        if _is_refused(word, refused) or word.upper() in _REFUSED_WORDS:
            raise _refusal(f"{word} is not for readers; write it without heredocs and typographic quotes")
    if re.search(r"[\"'`‘“$][^\"'`‘“$]*/", sql):  # noqa: RUF001 - quotes that the engine takes
        raise _refusal("a path is not for readers; write it without heredocs and typographic quotes")


def _is_refused(name: str, refused: frozenset[str]) -> bool:
    return name.lower() in refused or (name[:2].lower() == "ai" and name[2:3].isupper())


def _check_calls(found: Sequence[Token], refused: frozenset[str]) -> None:
    for token, after in itertools.pairwise(found):
        if after.text != "(" or token.is_string:
            continue
        # An escape could spell any name.
        if _is_refused(token.unquoted, refused) or "\\" in token.text:
            raise _refusal(f"the function {token.unquoted} is not for readers")


def _check_words_of(found: Sequence[Token], first: str) -> None:
    for place, token in enumerate(found):
        word = token.text.upper() if token.is_word else ""
        before = found[place - 1].text if place else ""
        after = found[place + 1].text if place + 1 < len(found) else ""
        if word in {"OUTFILE", "INFILE"} and before.upper() in {"INTO", "FROM"}:
            raise _refusal(f"{before} {word} is not for readers")
        if word == "IDENTIFIER" and before == ":":
            raise _refusal("parameters of type Identifier are not for readers")
        if word == "INSERT" and first == "WITH" and after.upper() == "INTO":
            raise _refusal("WITH … INSERT is not for readers")
        if word == "WITH" and before.upper() == "PARALLEL":
            raise _refusal("PARALLEL WITH is not for readers")
        if word == "ENGINE" and first == "CREATE":
            engine = found[place + 2 if after == "=" else place + 1 :][:1]
            if engine and engine[0].unquoted.upper() not in _TEMPORARY_ENGINES:
                raise _refusal(f"a temporary table of engine {engine[0].text} is not for readers")


def _paths_as_tables(found: Sequence[Token]) -> Iterator[str]:
    """Quoted names with a slash, or an escape that could be one, where a table is named."""
    # What follows AS is a column's name, unless this makes a table.
    before_a_name = {"IN", "AS"} if found and found[0].says("CREATE") else {"IN"}
    lists_tables = [False]
    """Whether a comma leads to the next table, for each open bracket."""
    before: Token | None = None
    for token in found:
        if before is not None and token.is_quoted and re.search(r"[/\\]", token.text):
            after_comma = before.text == "," and lists_tables[-1]
            after_word = before.says(*_BEFORE_A_TABLE) or (
                not token.is_string and before.says(*before_a_name)
            )
            if after_comma or after_word or before.text == ".":
                yield token.unquoted
        if token.text in {"(", "["}:
            lists_tables.append(False)
        elif token.text in {")", "]"} and len(lists_tables) > 1:
            lists_tables.pop()
        elif token.says("FROM", "JOIN"):
            lists_tables[-1] = True
        elif token.says(*_AFTER_TABLES):
            lists_tables[-1] = False
        before = token
