"""A believable company: customers with habits and troubles, and the mess in which their events arrive."""

from streams.simulation.mess import SimulatedEvent
from streams.simulation.simulation import Simulation
from streams.simulation.truth import Trouble, Truth

__all__ = ["SimulatedEvent", "Simulation", "Trouble", "Truth"]
