"""Ports on the loopback interface: find a free one, and explain a taken one."""

import errno
import socket

import psutil

from sinks.embedded.errors import PortTakenError

LOOPBACK = "127.0.0.1"


def free_port(host: str = LOOPBACK) -> int:
    """Return a TCP port on `host` that nothing listens on now.

    The operating system gives out another one on each call, but holds none back: bind it soon, and treat a
    failure to bind as `PortTakenError`.
    """
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def check_port_free(host: str, port: int, what: str, *, setting: str) -> None:
    """Raise `PortTakenError` when `what` could not listen on `host:port`.

    `setting` is the environment variable or option that moves `what` to another port, for the message.
    Ports in TIME_WAIT count as free, as they do for the servers that we start.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            return
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = f"is in use by {_holder(port)}"
            elif error.errno == errno.EACCES:
                problem = "needs rights that this user lacks"
            else:
                problem = f"cannot be used ({error.strerror})"
    remedy = f"Stop that process, or set {setting} to another port."
    raise PortTakenError(f"{what} wants {host}:{port}, which {problem}. {remedy}")


def _holder(port: int) -> str:
    """Name the process that listens on `port`, as far as this user may know."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return "another process"
