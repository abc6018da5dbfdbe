"""Where the key comes from."""

import stat
import threading
from pathlib import Path

import pytest

from sinks.clickhouse.errors import SinkMisconfigured
from sinks.clickhouse.hash_key import KEY_FILE, kept_key, key_of_secret
from streams.pseudonymity import pseudonyms_of
from streams.settings import SettingsError, load_settings


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    key = kept_key(home)
    assert len(key) == 32
    assert kept_key(home) == key
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    assert [file.name for file in home.iterdir()] == [KEY_FILE]
    assert kept_key(tmp_path / "other") != key


def test_workers_that_come_at_once_have_one_key(tmp_path: Path) -> None:
    start, keys = threading.Barrier(8), []

    def come() -> None:
        start.wait(20)
        keys.append(kept_key(tmp_path))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("content", ["", "not hex", "abcd"])
def test_a_file_that_holds_no_key_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content)
    with pytest.raises(SinkMisconfigured, match=KEY_FILE):
        kept_key(tmp_path)


def test_a_secret_of_any_length_makes_a_key() -> None:
    assert key_of_secret("x" * 16) != key_of_secret("x" * 17)
    assert len(key_of_secret("ж" * 500)) == 32
    with pytest.raises(ValueError, match="16 characters"):
        key_of_secret("short")


def test_settings_choose_between_clear_text_a_secret_and_the_home(tmp_path: Path) -> None:
    def chosen(**more: str) -> str:
        environ = {"TOUCHLINE_HOME": str(tmp_path), **more}
        return pseudonyms_of(load_settings(environ, tmp_path / "none.toml")).fingerprint

    assert chosen(TOUCHLINE_IDENTITY__CLEAR_TEXT="true") == "clear"
    assert not (tmp_path / KEY_FILE).exists()
    secret = chosen(TOUCHLINE_IDENTITY__HASH_KEY="sixteen letters!")
    assert not (tmp_path / KEY_FILE).exists()
    kept = chosen()
    assert len({"clear", secret, kept}) == 3
    assert chosen() == kept
    with pytest.raises(SettingsError, match="TOUCHLINE_IDENTITY__HASH_KEY"):
        chosen(TOUCHLINE_IDENTITY__HASH_KEY="short")
