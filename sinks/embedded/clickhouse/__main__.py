"""`python -m sinks.embedded.clickhouse`: the embedded ClickHouse in the foreground, until SIGTERM or SIGINT.

Prints one line of JSON on stdout once both ports listen: {"ready": true, "native_port": N, "http_port": M}.
Logs go to stderr. Exit status: 0 after a stop, 2 for wrong arguments, 3 when a port is taken, 4 when the data
directory is in use.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PASSWORD_VARIABLE: Final = "TOUCHLINE_CLICKHOUSE__PASSWORD"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; the password is not on it, because every process could read it there."""
    parser = argparse.ArgumentParser(
        prog="python -m sinks.embedded.clickhouse",
        description="ClickHouse for one machine: the real engine behind its native and HTTP protocols.",
        epilog=f"A password, when one is wanted, comes by the environment variable {PASSWORD_VARIABLE}.",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="data directory; made when missing"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--native-port", type=int, default=9000, help="native TCP; 0 takes a free one")
    parser.add_argument("--http-port", type=int, default=8123, help="HTTP; 0 takes a free one")
    parser.add_argument("--user", default="default", help="the one user (default: %(default)s)")
    parser.add_argument(
        "--max-connections", type=int, default=256, help="for each protocol (default: %(default)s)"
    )
    parser.add_argument(
        "--max-memory-usage",
        type=int,
        default=0,
        metavar="BYTES",
        help="of one statement (default: half the memory)",
    )
    parser.add_argument(
        "--max-execution-time",
        type=int,
        default=300,
        metavar="SECONDS",
        help="of one statement (default: %(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; returns the exit status."""
    given = arguments(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from sinks.embedded.clickhouse.credentials import Credentials
    from sinks.embedded.clickhouse.engine import Limits, half_of_memory
    from sinks.embedded.clickhouse.errors import DirectoryInUse
    from sinks.embedded.clickhouse.server import PortTaken, ServerOptions, serve

    options = ServerOptions(
        data=given.data.resolve(),
        host=given.host,
        native_port=given.native_port,
        http_port=given.http_port,
        credentials=Credentials(given.user, os.environ.pop(PASSWORD_VARIABLE, "")),
        limits=Limits(given.max_memory_usage or half_of_memory(), given.max_execution_time),
        max_connections=given.max_connections,
    )
    try:
        ended = asyncio.run(serve(options))
    except PortTaken as error:
        print(error, file=sys.stderr)
        return 3
    except DirectoryInUse as error:
        print(error, file=sys.stderr)
        return 4
    if not ended:
        # A statement that cannot be stopped must not keep the process; what was acknowledged is on disk.
        logging.getLogger(__name__).warning("a statement did not end; leaving without it")
        sys.stderr.flush()
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
