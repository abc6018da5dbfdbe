"""An embedded broker is reached in plaintext, also where the configured one wants TLS and a name."""

from pathlib import Path

from tests.certificates import make_papers
from tests.integration.pipeline_fixtures import open_road, simulated


def test_the_mock_that_is_asked_for_works_beside_settings_of_a_secured_broker(tmp_path: Path) -> None:
    environ = {
        "TOUCHLINE_KAFKA__BOOTSTRAP": "kafka.example.com:9094",
        "TOUCHLINE_KAFKA__SECURITY_PROTOCOL": "sasl_ssl",
        "TOUCHLINE_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
        "TOUCHLINE_KAFKA__USER": "touchline",
        "TOUCHLINE_KAFKA__PASSWORD": "hunter2",
        "TOUCHLINE_KAFKA__CA_FILE": str(make_papers(tmp_path / "papers").authority),
    }
    with open_road(tmp_path / "home", "mock", environ=environ) as road:
        road.publish(simulated(5, 5, days=3))
        road.wait_until_balanced(60)
