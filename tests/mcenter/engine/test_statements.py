"""The little that the server reads of SQL itself."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mcenter.engine.errors import EngineError
from parallelm.mcenter.engine.statements import (
    Insert,
    identifier,
    insert_of,
    is_read,
    keyword,
    literal,
    without_format,
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO t VALUES", Insert("t", "", "", "Values", "")),
        ("insert into t values ;", Insert("t", "", "", "Values", "")),
        ("INSERT INTO TABLE db.t (a, `b)`, c) FORMAT Native", Insert("db.t", "a, `b)`, c", "", "Native", "")),
        ('/* why */ INSERT INTO `my db`."t" -- so\nVALUES', Insert('`my db`."t"', "", "", "Values", "")),
        ("INSERT INTO t (* EXCEPT(b)) VALUES", Insert("t", "* EXCEPT(b)", "", "Values", "")),
        ("INSERT INTO t SETTINGS a = 'x)', b=1 VALUES", Insert("t", "", "a = 'x)', b=1", "Values", "")),
        ("INSERT INTO t VALUES (1, 'FORMAT x')", Insert("t", "", "", "Values", " (1, 'FORMAT x')")),
        ("INSERT INTO t FORMAT CSV 1,2\n3,4", Insert("t", "", "", "CSV", " 1,2\n3,4")),
        (
            "INSERT INTO FUNCTION file('a(b', CSV) VALUES",
            Insert("FUNCTION file('a(b', CSV)", "", "", "Values", ""),
        ),
        ("INSERT INTO table VALUES", None),
        ("INSERT INTO t SELECT 1", None),
        ("INSERT INTO t (a) SELECT 'VALUES'", None),
        ("INSERT INTO t (SELECT 1)", None),
        ("INSERT INTO t SETTINGS a = 1 SELECT 1", None),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", None),
        ("INSERT INTO t WITH 1 AS x SELECT x", None),
        ("SELECT 'INSERT INTO t VALUES'", None),
        ("INSERT INTO", None),
        ("INSERT", None),
        ("", None),
    ],
)
def test_an_insert_is_taken_apart(sql: str, expected: Insert | None):
    if expected is None and sql == "INSERT INTO table VALUES":
        # A table named like the keyword has to be quoted, as on a server.
        assert insert_of("INSERT INTO `table` VALUES") == Insert("`table`", "", "", "Values", "")
    else:
        assert insert_of(sql) == expected


def test_an_insert_is_put_together_again():
    insert = Insert("db.t", "a, b", "x = 1", "Values", "")
    wanted = "INSERT INTO db.t (a, b) FROM INFILE '/f' SETTINGS x = 1 FORMAT Native"
    assert insert.from_file("/f", "Native") == wanted
    assert Insert("FUNCTION f(1)", "", "", "X", "").header_query == "SELECT * FROM  f(1)"


def test_the_size_of_the_data_costs_nothing():
    sql = "INSERT INTO t FORMAT CSV\n" + 'it\'s "odd" `data` /* ' * 500_000
    began = time.process_time()
    insert = insert_of(sql)
    assert insert is not None
    assert len(insert.data) > 5_000_000
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", ("SELECT 1", "")),
        ("SELECT 1;", ("SELECT 1", "")),
        ("SELECT 1 ; ;\n", ("SELECT 1 ", "")),
        ("SELECT 1 FORMAT JSON", ("SELECT 1 ", "JSON")),
        ("SELECT 1 format CSV ; -- done", ("SELECT 1 ", "CSV")),
        ("SELECT ' FORMAT JSON'", ("SELECT ' FORMAT JSON'", "")),
        ("SELECT ';', `;`", ("SELECT ';', `;`", "")),
        ("SELECT 1 -- ; FORMAT x", ("SELECT 1 -- ; FORMAT x", "")),
    ],
)
def test_the_end_of_a_statement(sql: str, expected: tuple[str, str]):
    assert without_format(sql) == expected


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "DROP TABLE a; DROP TABLE b;", "SELECT ';'; x"])
def test_several_statements_are_refused(sql: str):
    with pytest.raises(EngineError, match="Multi-statements") as caught:
        without_format(sql)
    assert caught.value.code == 62


def test_what_answers_with_rows():
    assert all(
        map(
            is_read,
            ["SELECT 1", "(( select 1))", "-- x\nWITH 1 AS a SELECT a", "show tables", "EXPLAIN SELECT 1"],
        )
    )
    assert not any(
        map(is_read, ["INSERT INTO t SELECT 1", "CREATE TABLE t (a Int8)", "SET a = 1", "", "'SELECT'"])
    )
    assert keyword("/* SELECT */ alter table t") == "ALTER"


@given(st.text())
def test_any_text_can_be_looked_at(text: str):
    keyword(text)
    insert_of(text)
    insert_of("INSERT INTO " + text)
    try:
        without_format(text)
    except EngineError:
        assert ";" in text


@given(st.text())
def test_quoting_keeps_a_statement_in_one_piece(text: str):
    insert = insert_of(f"INSERT INTO {identifier(text)} SETTINGS a = {literal(text)} VALUES")
    assert insert == Insert(identifier(text), "", f"a = {literal(text)}", "Values", "")
