"""What can go wrong with ClickHouse, by what the caller does about it.

    SinkError
    |- SinkUnavailable     it may pass: wait `retry_after` seconds and write the same batch again, for ever
    |- SinkMisconfigured   a person must act: a migration is missing, a password is wrong; the message says
    what to do
    |- SinkRefused         a bug: rows do not fit the tables; the process ends, nothing is dropped

A statement that timed out is unknown, not failed. Every write is idempotent, so it is simply written again.
"""

from typing import Final

from clickhouse_driver import errors as driver


class SinkError(Exception):
    """Base of everything that the ClickHouse sink raises on purpose."""


class SinkUnavailable(SinkError):
    """ClickHouse cannot take the rows now. `retry_after` is in seconds, the least that is worth waiting."""

    def __init__(self, reason: str, retry_after: float = 0.5) -> None:
        super().__init__(f"ClickHouse is not available: {reason}")
        self.reason = reason
        self.retry_after = retry_after


class SinkMisconfigured(SinkError):
    """ClickHouse answers, but is not set up for us; waiting does not help, the message says what does."""


class SinkRefused(SinkError):
    """ClickHouse refused the rows themselves; `code` is its error code, 0 when the client could not encode
    them.
    """

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(f"ClickHouse refused the rows: {reason}")
        self.reason = reason
        self.code = code


_RUN_MIGRATE: Final = "run `touchline migrate`"
_CHECK_LOGIN: Final = "check TOUCHLINE_CLICKHOUSE__USER and TOUCHLINE_CLICKHOUSE__PASSWORD"

_MISCONFIGURED: Final[dict[int, str]] = {
    16: _RUN_MIGRATE,  # NO_SUCH_COLUMN_IN_TABLE
    60: _RUN_MIGRATE,  # UNKNOWN_TABLE
    81: _RUN_MIGRATE,  # UNKNOWN_DATABASE
    164: "the user may only read: allow it to insert",  # READONLY
    192: _CHECK_LOGIN,  # UNKNOWN_USER
    193: _CHECK_LOGIN,  # WRONG_PASSWORD
    194: _CHECK_LOGIN,  # REQUIRED_PASSWORD
    497: "grant the user what the message names",  # ACCESS_DENIED
    516: _CHECK_LOGIN,  # AUTHENTICATION_FAILED
}

_REFUSED: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        8,  # THERE_IS_NO_COLUMN
        10,  # NOT_FOUND_COLUMN_IN_BLOCK
        20,  # NUMBER_OF_COLUMNS_DOESNT_MATCH
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        36,  # BAD_ARGUMENTS
        41,  # CANNOT_PARSE_DATETIME
        43,  # ILLEGAL_TYPE_OF_ARGUMENT
        44,  # ILLEGAL_COLUMN
        46,  # UNKNOWN_FUNCTION
        47,  # UNKNOWN_IDENTIFIER
        49,  # LOGICAL_ERROR, also the driver's own for a value outside an Enum
        50,  # UNKNOWN_TYPE
        53,  # TYPE_MISMATCH
        62,  # SYNTAX_ERROR
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        115,  # UNKNOWN_SETTING
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
    }
)

_RETRY_AFTER: Final[dict[int, float]] = {
    202: 1.0,  # TOO_MANY_SIMULTANEOUS_QUERIES
    241: 2.0,  # MEMORY_LIMIT_EXCEEDED
    242: 5.0,  # TABLE_IS_READ_ONLY
    243: 10.0,  # NOT_ENOUGH_SPACE
    252: 2.0,  # TOO_MANY_PARTS
}


def classify(error: BaseException) -> SinkError:
    """Turn whatever the driver raised into one of ours; everything of the server not known to be a bug may
    pass.

    In doubt it is `SinkUnavailable`: a batch that is written again costs time, a batch that is given up
    costs data.
    """
    if isinstance(error, SinkError):
        return error
    if isinstance(error, driver.Error):
        code = int(error.code or 0)
        text = _first_line(error)
        if code in _MISCONFIGURED:
            return SinkMisconfigured(f"ClickHouse: {text} (code {code}): {_MISCONFIGURED[code]}")
        if code in _REFUSED:
            return SinkRefused(f"{text} (code {code})", code)
        return SinkUnavailable(f"{text} (code {code})", _RETRY_AFTER.get(code, 0.5))
    if isinstance(error, (EOFError, OSError)):
        return SinkUnavailable(str(error) or "the connection broke")
    return SinkRefused(f"{type(error).__name__}: {error}")


def _first_line(error: BaseException) -> str:
    message = str(getattr(error, "message", "") or error)
    message = message.partition("Stack trace:")[0].strip()
    line = message.splitlines()[0].rstrip(". ") if message else type(error).__name__
    return line.removeprefix("DB::Exception: ")[:500]
