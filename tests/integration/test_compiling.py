"""`setup.py` compiles, on a project of two small modules: what it leaves is trusted, nothing of an earlier build is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.ahead import PURE

ROOT = Path(__file__).resolve().parents[2]
PROJECT = """
[project]
name = "small"
version = "1"
[tool.setuptools]
packages = ["schemas"]
[tool.touchline]
compiled = ["schemas.{module}"]
"""
WHERE = (
    "import schemas, schemas.{module} as m; print(schemas.MODE, m.answer(), m.__file__.rpartition('.')[2])"
)


class Project:
    """A checkout with `schemas.first` and `schemas.second`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "schemas").mkdir()
        for name in ("setup.py", "schemas/__init__.py", "schemas/ahead.py"):
            (root / name).write_text((ROOT / name).read_text())
        for module in ("first", "second"):
            self.write(module, 1)

    def write(self, module: str, answer: int) -> None:
        (self.root / "schemas" / f"{module}.py").write_text(f"def answer() -> int:\n    return {answer}\n")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name != PURE}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=inherited | {"PYTHONPATH": str(self.root)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def compile(self, module: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (self.root / "pyproject.toml").write_text(PROJECT.format(module=module))
        return self.run("setup.py", "--quiet", "build_ext", "--inplace", TOUCHLINE_COMPILE="1", **environment)

    def runs(self, module: str) -> str:
        done = self.run("-c", WHERE.format(module=module))
        return done.stdout.strip() or done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_module_that_left_the_list_runs_from_its_source_after_the_next_build(project: Project) -> None:
    if lacking := project.run("setup.py", "--quiet", "toolchain").stderr:
        pytest.skip(lacking)
    done = project.compile("first")
    assert done.returncode == 0, done.stderr
    assert project.runs("first") == "compiled 1 so"
    assert project.runs("second") == "compiled 1 py"
    project.write("first", 2)
    assert project.runs("first") == "stale 2 py"
    done = project.compile("second")
    assert done.returncode == 0, done.stderr
    assert project.runs("second") == "compiled 1 so"
    assert project.runs("first") == "compiled 2 py"


def test_without_a_compiler_it_says_what_to_install_and_leaves_plain_python(project: Project) -> None:
    done = project.compile("first", CC="no-such-compiler")
    assert done.returncode == 1
    assert "no C compiler (no-such-compiler); install gcc" in done.stderr
    asked = project.run("setup.py", "--quiet", "toolchain", CC="no-such-compiler")
    assert (asked.returncode, "Touchline runs without it" in asked.stderr) == (1, True)
    assert project.runs("first") == "not compiled 1 py"
