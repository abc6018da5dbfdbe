"""Compiles the hot path with mypyc when TOUCHLINE_COMPILE=1; without it Touchline is plain Python.

Which modules: `tool.touchline.compiled` in pyproject.toml. What a build leaves: extension modules beside their sources
(or in the wheel), and `schemas/compiled.json`, by which `schemas.ahead` knows what they were built from.
`python setup.py toolchain` says what is missing for that and exits with 1, or says nothing.
"""

import os
import shutil
import sys
import sysconfig
import time
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
PACKAGES = ("schemas", "sinks", "streams")
C_COMPILER = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]


def ahead() -> ModuleType:
    """`schemas.ahead`, by its path: a build backend has the project not on its import path."""
    spec = spec_from_file_location("ahead", ROOT / "schemas" / "ahead.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BuildExtensions(build_ext):
    """Builds the extensions; nothing is left of an earlier build, and what ends half-way is not trusted."""

    def run(self) -> None:
        if not self.extensions:
            super().run()
            return
        target = ROOT if self.inplace else Path(self.build_lib)
        manifest = target / "schemas" / ahead().MANIFEST
        manifest.unlink(missing_ok=True)
        for package in PACKAGES:
            for built in (target / package).rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"):
                built.unlink()
        self.force = True  # it would take no notice of other flags, nor of another mypyc
        super().run()
        if not self.inplace and ahead().manifest(target) != sources:
            sys.exit(f"{target} holds sources of an earlier build: remove build/ and try again")
        # As of its beginning: a source that was edited meanwhile makes the build stale, for `ahead` and for make.
        manifest.write_text(sources)
        os.utime(manifest, (begun, begun))


class Toolchain(Command):
    """Whether this machine can compile."""

    description = "say what is missing for TOUCHLINE_COMPILE=1, and fail; or say nothing"
    user_options: ClassVar[list[tuple[str, str | None, str | None]]] = []

    def initialize_options(self) -> None:
        """Nothing to set."""

    def finalize_options(self) -> None:
        """Nothing to check."""

    def run(self) -> None:
        if missing := lacking():
            sys.exit(f"cannot compile: {missing}. Touchline runs without it, as plain Python.")


def lacking() -> str | None:
    """What is missing for compiling, and what to do about it."""
    if shutil.which(C_COMPILER) is None:
        return f"no C compiler ({C_COMPILER}); install gcc, or name yours in CC"
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.exists():
        return f"{header} is missing; install the headers of this Python (python3.11-dev)"
    return None


def modules() -> list[str]:
    """Dotted names of the modules to compile."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        names: list[str] = tomllib.load(file)["tool"]["touchline"]["compiled"]
    return names


def extensions() -> list[Extension]:
    """One group of extension modules: calls between them are direct."""
    from mypyc.build import mypycify

    paths = [name.replace(".", "/") + ".py" for name in modules()]
    # -O3 takes twice as long for code that is not measurably faster (docs/adr/0006).
    made: list[Extension] = mypycify(
        ["--config-file", "pyproject.toml", *paths],
        opt_level="1",
        debug_level="0",
        group_name="schemas.compiled",
    )
    return made


# A build backend asks for the metadata first; those need no extension modules.
compiling = os.environ.get("TOUCHLINE_COMPILE") == "1" and not {"egg_info", "dist_info"} & set(sys.argv)
if compiling and (missing := lacking()):
    sys.exit(f"cannot compile: {missing}; or leave TOUCHLINE_COMPILE unset")
begun, sources = time.time(), ahead().manifest(ROOT) if compiling else ""
setup(
    ext_modules=extensions() if compiling else [],
    cmdclass={"build_ext": BuildExtensions, "toolchain": Toolchain},
)
