"""Where ClickHouse is."""

from dataclasses import replace

import pytest

from sinks.clickhouse.client import ClickHouseTarget, connect


def test_a_url_names_host_port_user_and_tls() -> None:
    target = ClickHouseTarget.from_url(
        "clickhouses://ann%40x@db.example:9555", password="secret", database="line"
    )
    assert (target.host, target.port, target.user, target.secure) == ("db.example", 9555, "ann@x", True)
    assert (target.password, target.database) == ("secret", "line")


@pytest.mark.parametrize(("scheme", "port"), [("clickhouse", 9000), ("clickhouses", 9440)])
def test_the_port_has_a_default(scheme: str, port: int) -> None:
    assert ClickHouseTarget.from_url(f"{scheme}://db").port == port


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(ClickHouseTarget("db", password="secret"))


@pytest.mark.parametrize("url", ["http://db", "clickhouse://", "db:9000", "clickhouse://db/other"])
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        ClickHouseTarget.from_url(url)


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("10.0.0.1", False), ("db", False)],
)
def test_loopback_is_recognised(host: str, here: bool) -> None:
    assert ClickHouseTarget(host).loopback is here


def test_an_insert_is_stored_when_it_is_answered() -> None:
    """New servers would answer as soon as rows wait in memory (docs/adr/0001)."""
    for cluster in (None, "main"):
        client = connect(replace(ClickHouseTarget.from_url("clickhouse://h"), cluster=cluster))
        assert client.settings["async_insert"] == 0
        assert client.settings.get("distributed_foreground_insert") == (None if cluster is None else 1)
