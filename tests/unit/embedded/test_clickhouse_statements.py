"""What a text is: the lexer must not be misled by comments, quotes and brackets."""

from __future__ import annotations

import pytest

from sinks.embedded.clickhouse.errors import ServerError
from sinks.embedded.clickhouse.statements import Kind, parse, settings_of


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", Kind.SELECT),
        ("  /* why */ -- more\n with x AS (SELECT 1) select * from x", Kind.SELECT),
        ("((SELECT 1)) UNION ALL (SELECT 2)", Kind.SELECT),
        ("FROM t SELECT a", Kind.SELECT),
        ("SHOW TABLES", Kind.READ),
        ("desc t", Kind.READ),
        ("EXPLAIN SELECT 1", Kind.READ),
        ("set a = 1", Kind.SET),
        ("USE touchline", Kind.USE),
        ("ALTER TABLE t DELETE WHERE 1", Kind.WRITE),
        ("INSERT INTO t SELECT 1", Kind.WRITE),
        ("INSERT INTO t (a) WITH 1 AS x SELECT x", Kind.WRITE),
        ("INSERT INTO t (SELECT 1)", Kind.WRITE),
        ("insert into t values", Kind.INSERT_DATA),
        ("INSERT INTO FUNCTION null('a UInt8, values String') FORMAT CSV", Kind.INSERT_DATA),
        ("", Kind.EMPTY),
        (" -- nothing\n;", Kind.EMPTY),
    ],
)
def test_kind_is_told_by_the_first_word_outside_comments_and_brackets(sql: str, kind: Kind) -> None:
    assert parse(sql).kind is kind


def test_trailing_semicolon_and_comment_are_left_out() -> None:
    assert parse("SELECT 1 ; -- bye").text == "SELECT 1"


def test_semicolon_within_quotes_ends_nothing() -> None:
    sql = "SELECT ';', \";\", `;`, $$;$$, 'it''s;', 'a\\';' /* ; */"
    assert parse(sql).kind is Kind.SELECT


def test_second_statement_is_error_62() -> None:
    with pytest.raises(ServerError, match="Multi-statements") as raised:
        parse("SELECT 1; DROP TABLE t")
    assert raised.value.code == 62


@pytest.mark.parametrize(
    ("sql", "output", "rest"),
    [
        ("SELECT 1 FORMAT JSON", "JSON", "SELECT 1 "),
        ("SELECT 1 format CSV SETTINGS max_threads = 1", "CSV", "SELECT 1  SETTINGS max_threads = 1"),
        ("SELECT 1 AS format", None, "SELECT 1 AS format"),
        ("SELECT 'FORMAT JSON'", None, "SELECT 'FORMAT JSON'"),
        ("SELECT a AS format FROM t", None, "SELECT a AS format FROM t"),
    ],
)
def test_only_a_trailing_format_clause_is_one(sql: str, output: str | None, rest: str) -> None:
    statement = parse(sql)
    assert (statement.format, statement.without_format) == (output, rest)


@pytest.mark.parametrize("sql", ["SELECT 1 INTO OUTFILE 'x'", "INSERT INTO t FROM INFILE 'x' FORMAT CSV"])
def test_files_of_the_client_are_refused(sql: str) -> None:
    with pytest.raises(ServerError, match="FILE") as raised:
        parse(sql)
    assert raised.value.code == 48


def test_insert_is_taken_apart() -> None:
    sql = "INSERT INTO TABLE db.`my t` (a, `b)`) SETTINGS async_insert=0, x='FORMAT' FORMAT JSONEachRow\n{}"
    insert = parse(sql).insert
    assert insert is not None
    assert insert.head == "INSERT INTO TABLE db.`my t` (a, `b)`)"
    assert insert.target == "db.`my t`"
    assert insert.columns == "(a, `b)`)"
    assert insert.settings == "SETTINGS async_insert=0, x='FORMAT'"
    assert insert.format == "JSONEachRow"
    assert sql[insert.data_at :] == "{}"


def test_rows_may_begin_on_the_line_of_the_format_and_keep_their_own_blank_lines() -> None:
    sql = "INSERT INTO t FORMAT CSV 1,a\n\n2,b"
    insert = parse(sql).insert
    assert insert is not None
    assert sql[insert.data_at :] == "1,a\n\n2,b"


def test_rows_after_values_are_not_read_as_sql() -> None:
    sql = "INSERT INTO t VALUES (1, 'unclosed ; SELECT"
    insert = parse(sql).insert
    assert insert is not None
    assert insert.format == "Values"
    assert sql[insert.data_at :] == " (1, 'unclosed ; SELECT"


def test_settings_of_a_set_keep_their_literals() -> None:
    assert settings_of("SET a = 1, b = 'x, y = 2', c = [1, 2]") == {
        "a": "1",
        "b": "'x, y = 2'",
        "c": "[1, 2]",
    }


def test_set_role_has_no_settings() -> None:
    assert settings_of("SET ROLE admin") == {}
