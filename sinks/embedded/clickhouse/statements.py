"""What kind of statement a text is, as far as a server must know before it hands the text to the engine.

A small lexer, not a parser: it knows comments, the four kinds of quotes, and brackets, so that a keyword in
any of them is not mistaken for one. Everything about meaning, and every syntax error, is left to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

from sinks.embedded.clickhouse.errors import NOT_IMPLEMENTED, SYNTAX_ERROR, ServerError

_TOKEN = re.compile(
    r"""(?P<skip> \s+ | --[^\n]* | \#[\ !][^\n]* | /\*.*?(?:\*/|\Z) )
      | (?P<quoted> '(?:[^'\\]|\\.|'')*' | `(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*"
                  | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
      | (?P<word> [A-Za-z_]\w* )
      | (?P<sign> . )""",
    re.X | re.S,
)
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_STREAMED: Final = frozenset({"SELECT", "WITH", "FROM"})
_READING: Final = frozenset({"EXPLAIN", "SHOW", "DESCRIBE", "DESC", "EXISTS", "CHECK"})


class Kind(Enum):
    """How a statement is run."""

    EMPTY = "empty"
    SELECT = "select"  # its result may be streamed
    READ = "read"  # a result, and no change
    SET = "set"  # changes the session's settings
    USE = "use"  # changes the session's database
    INSERT_DATA = "insert data"  # rows follow, in the text or after it
    WRITE = "write"  # anything else


@dataclass(frozen=True)
class Token:
    """A piece of a statement; `word` is upper case and empty for what is not a bare word."""

    start: int
    end: int
    text: str
    word: str
    depth: int


@dataclass(frozen=True)
class InsertData:
    """An INSERT whose rows do not come from a query.

    `head` runs up to what says where the rows come from: `INSERT INTO t (a, b)`. `format` is None when the
    text names none (`VALUES` is the format `Values`). `data_at` is where rows begin in the text.
    """

    head: str
    target: str
    columns: str
    settings: str
    format: str | None
    data_at: int


@dataclass(frozen=True)
class Statement:
    """A statement without its trailing semicolon. `format` is that of a trailing FORMAT clause."""

    kind: Kind
    text: str
    format: str | None = None
    insert: InsertData | None = None
    without_format: str = ""


def tokens(sql: str, start: int = 0) -> Iterator[Token]:
    """The tokens of `sql`, comments and blanks left out, read only as far as they are asked for."""
    depth = 0
    for found in _TOKEN.finditer(sql, start):
        if found["skip"] is not None:
            continue
        piece = found[0]
        if piece in _CLOSING:
            depth -= 1
        yield Token(found.start(), found.end(), piece, (found["word"] or "").upper(), depth)
        if piece in _OPENING:
            depth += 1


def parse(sql: str) -> Statement:
    """Tell what `sql` is. Error 62 for more than one statement, 48 for files on the client's side."""
    seen = tokens(sql)
    first = next((token for token in seen if token.text != "("), None)
    if first is None:
        return Statement(Kind.EMPTY, "")
    if first.word == "INSERT":
        insert = _insert(sql, first)
        if insert is not None:
            return Statement(Kind.INSERT_DATA, sql, insert=insert)
    all_tokens = list(tokens(sql))
    end = _end(sql, all_tokens)
    body = [token for token in all_tokens if token.end <= end]
    if not body:
        return Statement(Kind.EMPTY, "")
    _refuse_client_files(body)
    text = sql[:end]
    kind = _kind(first.word)
    if kind not in (Kind.SELECT, Kind.READ):
        return Statement(kind, text)
    clause = _format_clause(body)
    if clause is None:
        return Statement(kind, text, without_format=text)
    keyword, name = clause
    return Statement(
        kind, text, name.text.strip('`"'), without_format=text[: keyword.start] + text[name.end :]
    )


def settings_of(sql: str) -> dict[str, str]:
    """The `name = value` pairs of a SET statement, values as written; empty for `SET ROLE` and its like."""
    pairs, words = {}, list(tokens(sql))[1:]
    index = 0
    while index + 2 < len(words) and words[index].word and words[index + 1].text == "=":
        stop = index + 2
        while stop < len(words) and not (words[stop].text == "," and words[stop].depth == 0):
            stop += 1
        pairs[words[index].text] = sql[words[index + 2].start : words[stop - 1].end]
        index = stop + 1
    return pairs


def _kind(word: str) -> Kind:
    if word in _STREAMED:
        return Kind.SELECT
    if word in _READING:
        return Kind.READ
    return {"SET": Kind.SET, "USE": Kind.USE}.get(word, Kind.WRITE)


def _end(sql: str, all_tokens: list[Token]) -> int:
    for index, token in enumerate(all_tokens):
        if token.text == ";":
            if any(later.text != ";" for later in all_tokens[index:]):
                raise ServerError(
                    SYNTAX_ERROR,
                    "Syntax error (Multi-statements are not allowed): "
                    f"failed at position {token.start + 1} (end of query). (SYNTAX_ERROR)",
                )
            return all_tokens[index - 1].end if index else 0
    return all_tokens[-1].end if all_tokens else len(sql)


def _refuse_client_files(body: list[Token]) -> None:
    for one, two in pairwise(body):
        if (one.word, two.word) in (("INTO", "OUTFILE"), ("FROM", "INFILE")):
            raise ServerError(
                NOT_IMPLEMENTED,
                f"{one.word} {two.word} names a file of the client and is not for a server: "
                "use clickhouse-client, or read and write the file yourself. (NOT_IMPLEMENTED)",
            )


def _format_clause(body: list[Token]) -> tuple[Token, Token] | None:
    """The FORMAT keyword and its name, when only SETTINGS may follow them."""
    for index in range(len(body) - 2, 0, -1):
        keyword, name = body[index], body[index + 1]
        if keyword.word == "FORMAT" and keyword.depth == 0 and re.fullmatch(r"[`\"]?\w+[`\"]?", name.text):
            rest = body[index + 2 :]
            return (keyword, name) if not rest or rest[0].word == "SETTINGS" else None
    return None


def _insert(sql: str, first: Token) -> InsertData | None:
    """Read an INSERT up to its source of rows; None when that is a query or the text is malformed."""
    ahead = list(_tokens_before_rows(sql, first.end))
    index = 0
    while index < len(ahead) and ahead[index].word in ("INTO", "TABLE"):
        index += 1
    if index >= len(ahead):
        return None
    target_start = ahead[index].start
    is_function = ahead[index].word == "FUNCTION"
    index += 2 if is_function else 1
    while index + 1 < len(ahead) and ahead[index].text == ".":
        index += 2
    if is_function:
        index = _after_brackets(ahead, index)
    if index > len(ahead):
        return None
    target_end = ahead[index - 1].end
    columns = ""
    if index < len(ahead) and ahead[index].text == "(":
        if index + 1 < len(ahead) and ahead[index + 1].word in ("SELECT", "WITH"):
            return None
        after = _after_brackets(ahead, index)
        columns = sql[ahead[index].start : ahead[after - 1].end]
        index = after
    target = sql[target_start:target_end]
    source = next(
        (
            token
            for token in ahead[index:]
            if token.depth == 0
            and token.word in ("VALUES", "FORMAT", "SELECT", "WITH", "FROM", "SETTINGS", "WATCH")
        ),
        None,
    )
    settings, head_end = "", source.start if source else ahead[-1].end
    if source and source.word == "SETTINGS":
        at = ahead.index(source)
        source = next(
            (
                t
                for t in ahead[at + 1 :]
                if t.depth == 0 and t.word in ("VALUES", "FORMAT", "SELECT", "WITH", "FROM")
            ),
            None,
        )
        settings = sql[ahead[at].start : source.start if source else ahead[-1].end].rstrip().rstrip(";")
    head = sql[:head_end].rstrip().rstrip(";")
    if source is None:
        return InsertData(head, target, columns, settings, None, len(sql))
    if source.word == "VALUES":
        return InsertData(head, target, columns, settings, "Values", source.end)
    if source.word != "FORMAT":
        return None
    name = next((token for token in ahead[ahead.index(source) + 1 :]), None)
    if name is None or not name.word:
        return None
    return InsertData(head, target, columns, settings, name.text, _data_start(sql, name.end))


def _tokens_before_rows(sql: str, start: int) -> Iterator[Token]:
    """The tokens after `start`, up to where the rows of an INSERT begin."""
    after_format = False
    for token in tokens(sql, start):
        yield token
        if after_format or (token.depth == 0 and token.word in ("VALUES", "SELECT", "WITH", "WATCH")):
            return
        after_format = token.depth == 0 and token.word == "FORMAT"


def _after_brackets(ahead: list[Token], index: int) -> int:
    """The index behind the bracket that closes the one at `index`."""
    if index >= len(ahead) or ahead[index].text != "(":
        return index
    opened = ahead[index].depth
    for later in range(index + 1, len(ahead)):
        if ahead[later].text == ")" and ahead[later].depth == opened:
            return later + 1
    return len(ahead)


def _data_start(sql: str, at: int) -> int:
    """Rows begin after the format's name, blanks, and at most one end of line."""
    while at < len(sql) and sql[at] in " \t\f":
        at += 1
    if sql.startswith("\r", at):
        at += 1
    return at + 1 if sql.startswith("\n", at) else at
