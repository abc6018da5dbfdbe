"""What the settings say reaches the worker that a user starts: none of these is a default."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from streams.simulation.mess import SimulatedEvent
from tests.integration.pipeline_fixtures import open_road, wait_until

LONDON = "020 7946 0958"


@contextmanager
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook's address on loopback, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="hook")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def call(id_: str, at: datetime, customer: dict[str, str], **fields: Any) -> SimulatedEvent:
    document = {
        "id": id_,
        "source": "pbx",
        "channel": "phone",
        "type": "call",
        "direction": "inbound",
        "occurred_at": at.isoformat(),
        "customer": customer,
        **fields,
    }
    return SimulatedEvent("phone", None, json.dumps(document).encode(), (), 0, "stored", None, None)


def test_a_worker_does_what_the_settings_say(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "long_hold.yaml").write_text(
        "id: long_hold\n"
        "title: A long hold\n"
        "cool_down: 1d\n"
        'sentence: "held for {hold_seconds} s"\n'
        "action: Call back.\n"
        "stands_when:\n"
        "  - kind: threshold\n"
        "    severity: major\n"
        "    where: {channel: phone, hold_seconds: {above: 60}}\n"
    )
    with hook() as (url, told):
        config = tmp_path / "touchline.toml"
        config.write_text(
            '[alerts.destinations.duty]\nkind = "webhook"\n'
            f'url = "{url}"\nsecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="\n'
            '[[alerts.routes]]\nto = ["duty"]\n'
        )
        environ = {
            "TOUCHLINE_CONFIG": str(config),
            "TOUCHLINE_IDENTITY__REGION": "GB",
            "TOUCHLINE_TIME__FUTURE": "3d",
            "TOUCHLINE_JOURNEYS__GAP": "2h",
            "TOUCHLINE_RULES__DIRECTORY": str(rules),
        }
        with open_road(tmp_path / "home", "mock", workers=1, environ=environ) as road:
            road.publish(
                [
                    call("a", now - timedelta(hours=9), {"phone": LONDON}, hold_seconds=61),
                    call("b", now - timedelta(hours=6), {"phone": LONDON}, hold_seconds=60),
                    call("ahead", now + timedelta(days=2), {"crm_id": "A"}),
                    call("too far ahead", now + timedelta(days=4), {"crm_id": "A"}),
                ]
            )
            road.wait_until_balanced(30)
            customer = "phone:+442079460958"
            wait_until(
                lambda: len(road.rows("SELECT 1 FROM journeys WHERE status = 'closed'")) == 2,
                20,
                lambda: (road.rows("SELECT customer, status FROM journeys"), road.account()),
            )
            assert {row[0] for row in road.rows("SELECT customer FROM journeys")} == {customer, "crm:A"}
            assert len(road.rows(f"SELECT 1 FROM journeys WHERE customer = '{customer}'")) == 2
            assert [json.loads(value)["id"] for value in road.dead_values()] == ["too far ahead"]
            wait_until(lambda: bool(told), 20, road.account)
            (alert,) = told
            assert '"raised"' in json.dumps(alert)
            assert "held for 61 s" in json.dumps(alert)
            assert road.rows("SELECT rule, sentence FROM findings") == [("long_hold", "held for 61 s")]
