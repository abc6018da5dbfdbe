"""`pytest tests/golden/journeys --regenerate` writes the rows anew; review them as a diff."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flag that turns comparing into writing."""
    parser.addoption("--regenerate", action="store_true", help="write the expected rows of the stories anew")


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Whether to write instead of to compare; the flag is known only when this folder is named on the
    command line.
    """
    return bool(request.config.getoption("--regenerate", default=False))
