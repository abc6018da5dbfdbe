"""The house keeps its own promises: README, compose file, image, settings document, import contracts."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import schemas
from schemas.ahead import COMPILED
from sinks.embedded.kafka.maven import KAFKA_VERSION
from streams import cli
from streams.settings import NOT_SETTINGS, load_settings
from streams.settings import document as settings_document

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "TOUCHLINE_CLICKHOUSE__PASSWORD"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# README


def commands_in(text: str) -> set[tuple[str, ...]]:
    """Each `touchline WORD [WORD]` of code in a text, as words."""
    code = re.findall(r"```(?:console|bash)\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    found = re.findall(r"(?<![\w./-])(?:\.venv/bin/)?touchline ([a-z-]+)(?: ([a-z]+)\b)?", "\n".join(code))
    return {tuple(filter(None, words)) for words in found}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docker-compose.yml"])
def test_every_command_that_a_document_names_exists(document: str) -> None:
    for words in commands_in(read(document)):
        assert words[0] in cli.ENTRIES, f"{document} names `touchline {' '.join(words)}`"


def test_the_readme_lists_every_command_and_no_other() -> None:
    rows = re.findall(r"^\| `touchline ([a-z-]+)` \|", read("README.md"), re.MULTILINE)
    assert sorted(rows) == sorted(cli.ENTRIES)


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "docs/adr/0006-compiled-hot-path.md"):
        named = set(
            re.findall(r"(?:^\$ |`)(?:[A-Z_]+=[^\s`]+ )?make ([a-z-]+)", read(document), re.MULTILINE)
        )
        assert named <= targets, f"{document} names {named - targets}"


def test_ci_makes_everything_plain_and_then_compiled() -> None:
    script = read(".ci/run")
    parts = re.findall(
        r"^ *(?:for target in ([a-z -]+); do )?part ([a-z]+|\"\$target\")", script, re.MULTILINE
    )
    order = " ".join(listed or name for listed, name in parts).split()
    assert order == ["setup", "check", "test", "compile", "test-compiled", "integration"]
    plain, _, compiled = script.partition("unset TOUCHLINE_PURE")
    assert "export TOUCHLINE_PURE=1" in plain
    assert "part" in compiled


def test_every_link_of_a_document_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document} links to {target}"


def test_every_path_in_the_table_of_where_to_add_things_exists() -> None:
    section = read("README.md").partition("## Where to add things")[2].partition("\n## ")[0]
    paths = re.findall(r"`((?:schemas|streams|sinks)/[\w./]*)`", section)
    assert len(paths) >= 8
    for path in paths:
        assert (ROOT / path).exists(), f"README names {path}"


def test_every_setting_that_a_document_names_exists() -> None:
    known = {*settings_document.variables(), *NOT_SETTINGS, "TOUCHLINE_COMPILE"}
    deploy = [path for path in ROOT.glob("deploy/*") if path.is_file()]
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Dockerfile", *deploy]:
        named = set(re.findall(r"\bTOUCHLINE_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
        assert named <= known, f"{path.name} names {named - known}"


# Settings


def test_the_settings_document_is_up_to_date() -> None:
    assert settings_document.PATH.read_text(encoding="utf-8") == settings_document.document(), (
        "make documents"
    )


def test_every_setting_is_documented_with_a_meaning() -> None:
    for variable, field in settings_document.variables().items():
        assert field.description, f"{variable} has no description"
        assert f"| `{variable}` |" in settings_document.document()


def test_a_document_that_is_out_of_date_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings_document, "PATH", tmp_path / "docs" / "settings.md")
    assert settings_document.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert settings_document.main([]) == 0
    assert settings_document.main(["--check"]) == 0


# Compose and image


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(read("docker-compose.yml"))
    return loaded


def test_compose_has_broker_database_migrate_and_two_workers(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"kafka", "clickhouse", "migrate", "worker-1", "worker-2"}


def test_compose_runs_the_kafka_version_that_the_embedded_default_runs(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_every_image_is_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", service["image"]), name


def test_workers_wait_for_a_migration_that_succeeded(compose: dict[str, Any]) -> None:
    for name in ("worker-1", "worker-2"):
        conditions = compose["services"][name]["depends_on"]
        assert conditions["migrate"]["condition"] == "service_completed_successfully"
    for server in ("kafka", "clickhouse"):
        assert compose["services"]["migrate"]["depends_on"][server]["condition"] == "service_healthy"


def test_every_service_that_is_waited_for_has_a_health_check(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert compose["services"][name]["healthcheck"]["test"]


def test_touchlines_own_commands_in_compose_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        if service["image"].startswith("touchline:"):
            assert service["command"][0] in cli.ENTRIES


def test_compose_gives_touchline_valid_settings_and_its_own_services(compose: dict[str, Any]) -> None:
    for name in ("migrate", "worker-1", "worker-2"):
        given = compose["services"][name]["environment"]
        environ = {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for key, value in given.items()}
        settings = load_settings(environ, ROOT / "absent.toml")
        assert settings.kafka.bootstrap is not None
        assert settings.kafka.bootstrap.partition(":")[0] in compose["services"]
        assert settings.clickhouse.url is not None
        assert settings.clickhouse.url.removeprefix("clickhouse://").partition(":")[0] in compose["services"]


def test_passwords_come_from_outside_and_have_no_default(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key:
                assert str(value).startswith(f"${{{PASSWORD}:?"), f"{name}: {key}"
    assert f"\n{PASSWORD}=\n" in read("deploy/env.example")


def test_the_example_of_an_environment_names_settings() -> None:
    named = re.findall(r"^(?:# )?(TOUCHLINE_\w+)=", read("deploy/env.example"), re.MULTILINE)
    assert {"TOUCHLINE_KAFKA__BOOTSTRAP", "TOUCHLINE_KAFKA__PASSWORD"} <= set(named)
    assert set(named) <= set(settings_document.variables())


def test_containers_see_the_certificates_that_the_example_names(compose: dict[str, Any]) -> None:
    (file,) = re.findall(r"CA_FILE=(\S+)/ca\.pem", read("deploy/env.example"))
    for name in ("migrate", "worker-1", "worker-2"):
        assert f"./deploy/certificates:{file}:ro" in compose["services"][name]["volumes"]
        assert compose["services"][name]["env_file"] == [".env"]


def test_ports_are_bound_to_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


def test_every_volume_is_named_and_declared(compose: dict[str, Any]) -> None:
    used = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
    }
    mounted = {source for source in used if source.startswith("./")}
    assert used - mounted == set(compose["volumes"])
    assert all((ROOT / source).exists() for source in mounted)


def test_the_example_of_destinations_for_compose_is_valid(tmp_path: Path) -> None:
    text = read("deploy/touchline.toml")
    assert load_settings({}, ROOT / "deploy" / "touchline.toml").alerts.routes == ()
    file = tmp_path / "touchline.toml"
    file.write_text(text.partition("\n\n")[2].replace("# ", ""))
    secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    settings = load_settings({"TOUCHLINE_ALERT_SECRETS__DUTY": secret}, file)
    assert settings.alerts.routes[0].to == ("duty",)


def test_the_broker_creates_no_topic_by_accident(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_every_listener_of_the_broker_has_a_protocol(compose: dict[str, Any]) -> None:
    environ = compose["services"]["kafka"]["environment"]
    protocols = {
        pair.partition(":")[0] for pair in environ["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    }
    listeners = {listener.partition(":")[0] for listener in environ["KAFKA_LISTENERS"].split(",")}
    advertised = {listener.partition(":")[0] for listener in environ["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    assert listeners == protocols
    assert advertised == listeners - {environ["KAFKA_CONTROLLER_LISTENER_NAMES"]}


def test_the_image_runs_as_nobody_special_with_a_health_check() -> None:
    instructions = re.findall(r"^([A-Z]+) (.*)$", read("Dockerfile"), re.MULTILINE)
    last = {name: value for name, value in instructions if name != "FROM"}
    assert last["USER"] not in ("root", "0")
    assert '["touchline", "doctor", "--worker"]' in last["HEALTHCHECK"]
    assert all("python:3.11-slim" in value for name, value in instructions if name == "FROM")


def test_the_image_is_compiled_and_has_no_compiler() -> None:
    build, last = re.split(r"^FROM .*$", read("Dockerfile"), flags=re.MULTILINE)[1:]
    assert "TOUCHLINE_COMPILE=1" in build
    assert "gcc" in build
    assert "apt-get" not in last


def test_what_the_image_copies_is_not_ignored() -> None:
    admitted = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = {
        source.removeprefix("./")
        for line in re.findall(r"^COPY (?!--from)(.*)$", read("Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == admitted


# Packaging


def constraints() -> dict[str, str]:
    lines = (line.strip() for line in read("constraints.txt").splitlines())
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_dependency_is_constrained_to_a_version_that_it_allows() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    pinned = {name.lower().replace("_", "-"): version for name, version in constraints().items()}
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        requirement = Requirement(text)
        name = requirement.name.lower().replace("_", "-")
        assert name in pinned, f"run `make constraints`: {name} is missing"
        assert requirement.specifier.contains(pinned[name]), f"{text}: constraints.txt has {pinned[name]}"


def test_constraints_are_what_the_tests_run_with() -> None:
    differing = {
        name: (version, metadata.version(name))
        for name, version in constraints().items()
        if metadata.version(name) != version
    }
    assert not differing


def test_the_readme_says_nothing_about_the_machine_it_was_written_on() -> None:
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "Makefile", ROOT / "Dockerfile"):
        assert str(ROOT) not in document.read_text(encoding="utf-8"), document.name


# Compiled modules


def compiled_modules() -> list[str]:
    names: list[str] = tomllib.loads(read("pyproject.toml"))["tool"]["touchline"]["compiled"]
    return names


def test_modules_come_compiled_or_as_sources_as_the_mode_says() -> None:
    origins = {name: Path(str(find_spec(name).origin)) for name in compiled_modules()}  # type: ignore[union-attr]
    as_sources = {name for name, origin in origins.items() if origin.suffix == ".py"}
    assert as_sources == (set() if schemas.MODE == "compiled" else set(origins))


def test_a_change_of_any_compiled_module_is_noticed_and_compiled_anew() -> None:
    for name in compiled_modules():
        assert any(name.startswith(f"{package.replace('/', '.')}.") for package in COMPILED), name
    (watched,) = re.findall(
        r"^\$\(COMPILED\): .*\$\(shell find (.*) -name '\*\.py'\)$", read("Makefile"), re.MULTILINE
    )
    assert tuple(watched.split()) == COMPILED


# Import contracts


def test_an_import_against_the_grain_breaks_the_contracts(tmp_path: Path) -> None:
    """Negative control: the contracts must notice a core that reads the clock and a sink that knows streams."""
    for package in (
        "schemas",
        "streams",
        "streams/core",
        "streams/agents",
        "streams/kafka",
        "streams/commands",
    ):
        directory = tmp_path / package
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "__init__.py").touch()
    (tmp_path / "streams" / "simulation").mkdir()
    (tmp_path / "streams" / "simulation" / "__init__.py").touch()
    for module in ("cli", "app", "worker", "settings"):
        (tmp_path / "streams" / f"{module}.py").touch()
    (tmp_path / "sinks").mkdir()
    (tmp_path / "sinks" / "__init__.py").write_text("import streams.app\n")
    (tmp_path / "streams" / "core" / "__init__.py").write_text("import time\nimport kafka\n")
    (tmp_path / ".importlinter").write_text(read(".importlinter"))
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    broken = {line.removesuffix("BROKEN").partition(":")[0].strip() for line in verdicts}
    assert done.returncode == 1, done.stdout + done.stderr
    assert {
        "Sinks know the schemas, and nothing of streams",
        "The core is pure",
        "The core reads no clock, no environment, no randomness, and does not log or wait",
    } <= broken


def test_the_core_imports_nothing_of_streams_but_itself() -> None:
    """Import contracts name modules one by one; a new one beside them would be named by none."""
    for file in (ROOT / "streams" / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            ours = [name for name in modules if name.split(".")[0] == "streams"]
            foreign = [name for name in ours if not name.startswith(("streams.core.", "streams.durations."))]
            assert foreign == [], file
