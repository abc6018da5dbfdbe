"""The progress of a running pipeline: in place on a terminal, a plain line every few seconds elsewhere."""

from types import TracebackType
from typing import Final, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table

_COLUMNS: Final = ("published", "received", "stored", "superseded", "dead", "journeys", "customers")


class Progress(NamedTuple):
    """Totals since the start. `lag` is the number of records not yet processed, None when unknown."""

    published: int = 0
    received: int = 0
    stored: int = 0
    superseded: int = 0
    dead: int = 0
    journeys: int = 0
    customers: int = 0
    lag: int | None = None


class LiveProgress:
    """Shows each `Progress` it is given; use as a context manager.

    `console` decides: on a terminal the figures change in place, elsewhere a line is printed at most every
    `every` seconds. Rates are taken between two updates, smoothed; time is an argument (monotonic seconds).
    """

    def __init__(self, console: Console | None = None, *, every: float = 5.0):
        self._console = console or Console(stderr=True)
        self._every = every
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._started: float | None = None
        self._before: tuple[float, Progress] | None = None
        self._rates: dict[str, float] = {}
        self._printed: float | None = None

    def __enter__(self) -> "LiveProgress":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, progress: Progress, now: float) -> None:
        """Show the totals as of `now`."""
        self._measure(progress, now)
        seconds = now - (self._started or now)
        if self._console.is_terminal:
            self._live.update(self._table(progress, seconds), refresh=True)
        elif self._printed is None or now - self._printed >= self._every:
            self._printed = now
            self._console.print(self._line(progress, seconds), soft_wrap=True, highlight=False)

    def _measure(self, progress: Progress, now: float) -> None:
        if self._started is None:
            self._started = now
        if self._before is not None and now > self._before[0]:
            then, before = self._before
            for name in _COLUMNS:
                rate = (getattr(progress, name) - getattr(before, name)) / (now - then)
                self._rates[name] = 0.6 * self._rates.get(name, rate) + 0.4 * rate
        self._before = (now, progress)

    def _table(self, progress: Progress, seconds: float) -> Table:
        table = Table(title=f"Touchline, {seconds:.0f} s", title_justify="left", expand=False)
        table.add_column("")
        table.add_column("total", justify="right")
        table.add_column("a second", justify="right", style="dim")
        for name in _COLUMNS:
            style = "red" if name == "dead" and progress.dead else ""
            rate = self._rates.get(name)
            table.add_row(
                name, f"{getattr(progress, name):,}", "" if rate is None else f"{rate:,.0f}", style=style
            )
        table.add_row("lag", "?" if progress.lag is None else f"{progress.lag:,}", "", style="dim")
        return table

    def _line(self, progress: Progress, seconds: float) -> str:
        figures = ", ".join(f"{getattr(progress, name):,} {name}" for name in _COLUMNS)
        rate = self._rates.get("received")
        speed = "" if rate is None else f", {rate:,.0f} received a second"
        lag = "" if progress.lag is None else f", lag {progress.lag:,}"
        return f"{seconds:4.0f} s: {figures}{speed}{lag}"
