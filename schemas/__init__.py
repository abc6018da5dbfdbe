"""What the data is: contracts, topics, JSON Schemas, AsyncAPI and examples."""

from pathlib import Path
from typing import Final

from schemas.ahead import Mode, choose

MODE: Final[Mode] = choose(Path(__file__).parent.parent)
"""Whether this process runs the compiled modules. Decided here because everything imports this package first."""
