"""Compiles the hot path with mypyc when TOUCHLINE_COMPILE=1; without it Touchline is plain Python.

Which modules: `tool.touchline.compiled` in pyproject.toml. What a build leaves: extension modules beside their sources
(or in the wheel), and `schemas/compiled.json`, by which `schemas.ahead` knows what they were built from.
"""

import os
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent


class BuildExtensions(build_ext):
    """Builds the extensions, then writes the manifest."""

    def run(self) -> None:
        super().run()
        if self.extensions:
            from schemas.ahead import MANIFEST, manifest

            target = ROOT if self.inplace else Path(self.build_lib)
            (target / "schemas" / MANIFEST).write_text(manifest(ROOT))


def modules() -> list[str]:
    """Dotted names of the modules to compile."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        names: list[str] = tomllib.load(file)["tool"]["touchline"]["compiled"]
    return names


def extensions() -> list[object]:
    """One group of extension modules: calls between them are direct."""
    from mypyc.build import mypycify

    paths = [name.replace(".", "/") + ".py" for name in modules()]
    return mypycify(["--config-file", "pyproject.toml", *paths], opt_level="3", group_name="schemas.compiled")


compiling = os.environ.get("TOUCHLINE_COMPILE") == "1"
setup(ext_modules=extensions() if compiling else [], cmdclass={"build_ext": BuildExtensions})
