"""What every section of the settings has in common: its manners, and its numbers."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):  # to Python true is the number 1
        raise ValueError("a truth value is not a number")
    return value


Number = Annotated[float, BeforeValidator(_no_truth_value)]
Whole = Annotated[int, BeforeValidator(_no_truth_value)]
Count = Annotated[Whole, Field(gt=0)]
