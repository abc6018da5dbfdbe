"""For all tests."""

import schemas


def pytest_report_header() -> str:
    """Which of the two ways of running is tested (docs/adr/0006)."""
    return f"hot path: {schemas.MODE}"
