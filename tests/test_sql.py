"""SQL stands in the warehouse room only: whoever changes a table finds all that reads or writes it there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.test_gate import ROOMS

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parent.parent
SQL = re.compile(
    r"\bSELECT\b.*\S|\bINSERT\s+INTO\b|\b(CREATE|ALTER|DROP|TRUNCATE|RENAME|OPTIMIZE)\s+(TABLE|VIEW|DATABASE|USER|MATERIALIZED)\b"
    r"|\bDELETE\s+FROM\b|\bGRANT\s+\w+\s+ON\b",
    re.DOTALL,
)
ELSEWHERE = {
    "mcenter/parallelm/mcenter/engine": "the local stack's ClickHouse server: it reads the statements of its clients",
    "agent/parallelm/agent/service/store.py": "the agent's own SQLite file with what it must know after any end",
    "mcenter/parallelm/mcenter/demo": "questions as users ask them, to paste",
    "operations/parallelm/operations/questions.py": "what takes the user's own SQL explains what it takes",
    "server/parallelm/server/accounts": "the server's own SQL database: what is no table of SQLAlchemy's, such as locks and copies",
    "server/parallelm/server/api/query.py": "an example of a question as users ask it",
    "connections/parallelm/connections/reading_client.py": "asks the server whether the session may write; no table",
}


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and value of each text of a module; f-strings without their values, docstrings left out."""
    tree = ast.parse(source)
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            yield node.lineno, " ".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def sql_in(source: str) -> list[int]:
    return sorted({line for line, text in texts(source) if SQL.search(text)})


def test_no_sql_stands_outside_the_warehouse() -> None:
    found = {}
    for room in sorted(ROOMS.keys() - {"warehouse"}):
        for file in sorted((REPOSITORY / room).rglob("*.py")):
            name = file.relative_to(REPOSITORY).as_posix()
            if not name.startswith(tuple(ELSEWHERE)) and (lines := sql_in(file.read_text())):
                found[name] = lines
    assert not found


def test_every_exception_is_still_one() -> None:
    for name in ELSEWHERE:
        place = REPOSITORY / name
        files = [place] if place.is_file() else list(place.rglob("*.py"))
        assert any(sql_in(file.read_text()) for file in files), name


@pytest.mark.parametrize(
    "statement",
    [
        'client.execute("SELECT 1")',
        'QUERY = f"""\n    SELECT {column}\n    FROM statistics\n"""',
        'run("INSERT INTO " + table)',
        'text = "ALTER TABLE statistics ADD COLUMN x"',
        'DROP = "DROP VIEW kpi_correlation"',
    ],
)
def test_sql_is_found(statement: str) -> None:
    assert sql_in(f'"""Reads SELECT name FROM models."""\n\n{statement}\n')


def test_prose_is_not_sql() -> None:
    assert not sql_in('message = "select a model from the list, and drop the table\'s rows"')
