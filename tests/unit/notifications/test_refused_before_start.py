"""`up` and `worker` start nothing while somebody could not be told."""

from pathlib import Path

import pytest

from streams import cli

WHSEC = "whsec_" + "QUFB" * 10
HOOK = """
[alerts.destinations.hook]
kind = "webhook"
url = "{url}"
"""


@pytest.mark.parametrize("command", ["up", "worker"])
@pytest.mark.parametrize(
    ("url", "secrets", "named"),
    [
        ("https://h.example/", {}, "TOUCHLINE_ALERT_SECRETS__HOOK: "),
        ("https://h.example/", {"HOOK": ""}, "TOUCHLINE_ALERT_SECRETS__HOOK: "),
        ("https://h.example/", {"HOOK": "s3cr3t"}, "TOUCHLINE_ALERT_SECRETS__HOOK: "),
        ("https://h.example/", {"HOOK": WHSEC, "HOK": "s3cr3t"}, "TOUCHLINE_ALERT_SECRETS__HOK: "),
        ("https://h.example:99999/", {"HOOK": WHSEC}, "alerts.destinations.hook.webhook.url: a port"),
        ("https://h example/", {"HOOK": WHSEC}, "alerts.destinations.hook.webhook.url: a URL has no blanks"),
    ],
)
def test_a_wrong_destination_is_refused_by_name_before_anything_starts(
    command: str,
    url: str,
    secrets: dict[str, str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, home = tmp_path / "touchline.toml", tmp_path / "home"
    file.write_text(HOOK.format(url=url), encoding="utf-8")
    monkeypatch.setenv("TOUCHLINE_CONFIG", str(file))
    monkeypatch.setenv("TOUCHLINE_HOME", str(home))
    for name, secret in secrets.items():
        monkeypatch.setenv(f"TOUCHLINE_ALERT_SECRETS__{name}", secret)
    assert cli.run([command]) == 2
    error = capsys.readouterr().err
    assert named in error
    assert "bug" not in error
    assert "s3cr3t" not in error
    assert not home.exists()
