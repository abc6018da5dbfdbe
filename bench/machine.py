"""The machine that figures were measured on, as far as a reader needs it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

import schemas

LIBRARIES: Final = ("faust-streaming", "aiokafka", "clickhouse-driver", "chdb", "msgspec", "uvloop")


def machine() -> dict[str, str]:
    """Processor, cores, memory, system, interpreter, whether the hot path is compiled, the libraries that matter."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "hot path": schemas.MODE,
    }
    for name in LIBRARIES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


def busy_share() -> float:
    """The load of the last minute for each core: above 0.3 or so, what is measured now is not worth much."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
