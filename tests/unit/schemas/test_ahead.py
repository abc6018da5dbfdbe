"""Compiled modules are used only while their sources are what they were compiled from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.ahead import COMPILED, MANIFEST, PURE, digest, manifest, mode


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(PURE, raising=False)
    for package in COMPILED:
        (tmp_path / package / "deeper").mkdir(parents=True)
        (tmp_path / package / "module.py").write_text("ONE = 1\n")
        (tmp_path / package / "deeper" / "module.py").write_text("TWO = 2\n")
    return tmp_path


def built(tree: Path) -> None:
    (tree / "schemas" / MANIFEST).write_text(manifest(tree))


def test_a_tree_that_was_never_built_is_not_compiled(tree: Path) -> None:
    assert mode(tree) == "not compiled"


def test_a_build_holds_while_nothing_changes(tree: Path) -> None:
    built(tree)
    assert mode(tree) == "compiled"


@pytest.mark.parametrize("package", COMPILED)
def test_a_changed_source_makes_the_build_stale(tree: Path, package: str) -> None:
    built(tree)
    (tree / package / "deeper" / "module.py").write_text("TWO = 3\n")
    assert mode(tree) == "stale"


@pytest.mark.parametrize("package", COMPILED)
def test_a_source_more_or_less_makes_the_build_stale(tree: Path, package: str) -> None:
    built(tree)
    (tree / package / "another.py").touch()
    assert mode(tree) == "stale"
    (tree / package / "another.py").unlink()
    assert mode(tree) == "compiled"
    (tree / package / "module.py").unlink()
    assert mode(tree) == "stale"


def test_content_that_moves_from_file_to_file_is_a_change(tree: Path) -> None:
    before = digest(tree)
    first, second = sorted((tree / "schemas").rglob("*.py"))
    one, other = first.read_text(), second.read_text()
    first.write_text(one + other)
    second.write_text("")
    assert digest(tree) != before


def test_pure_can_be_asked_for(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tree)
    monkeypatch.setenv(PURE, "1")
    assert mode(tree) == "pure"


def test_an_extension_module_beside_a_changed_source_is_not_imported(tmp_path: Path) -> None:
    """With the real packages: an extension module that is no such thing stands beside `schemas/vocabulary.py`."""
    here = Path(__file__).parents[3]
    for package in ("schemas", "streams", "sinks"):
        (tmp_path / package).mkdir()
    for name in ("__init__", "ahead", "vocabulary"):
        (tmp_path / "schemas" / f"{name}.py").write_text((here / "schemas" / f"{name}.py").read_text())
    (tmp_path / "schemas" / "vocabulary.cpython-311-x86_64-linux-gnu.so").write_bytes(b"no library")
    program = "import schemas, schemas.vocabulary as v; print(schemas.MODE, v.__file__)"

    def run() -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != PURE}
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run().stdout.split() == ["not", "compiled", str(tmp_path / "schemas" / "vocabulary.py")]
    (tmp_path / "schemas" / MANIFEST).write_text(manifest(tmp_path))
    assert "vocabulary.cpython-311" in run().stderr, "the control: a fresh build is trusted"
    (tmp_path / "schemas" / "vocabulary.py").write_text("CHANGED = True\n")
    assert run().stdout.split() == ["stale", str(tmp_path / "schemas" / "vocabulary.py")]
