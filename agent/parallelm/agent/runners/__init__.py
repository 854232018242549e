"""Runners, one file for each way to run pipelines. Adding a way is adding a file that ends with ``register``.

The agent around them (commands, reports, leases) knows runs only by what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from parallelm.definitions.registered import import_modules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from parallelm.agent.keeping.records import Outcome
    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import ModelSpec, RunSpec


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """One attempt of a run: never started twice."""

    run_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How the delivery of a model to a run has ended."""

    model_id: str
    deployment_id: str
    is_accepted: bool
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """What is known of a run. It is on disk: the same after a restart of the agent."""

    key: RunKey
    spec: RunSpec
    pid: int = 0
    """Of its keeper or program; 0 when there is none."""
    starts: int = 0
    """How often the program was started, with restarts; 0: not yet."""
    started_at_ms: int = 0
    """When the program was started last; 0: not yet."""
    ended_at_ms: int = 0
    """When it ended; 0 while it goes on."""
    outcome: str = ""
    """``RunReport.outcome``; empty while it goes on."""
    exit_code: int = 0
    message: str = ""
    model_id: str = ""
    """Model that it has."""
    deliveries: Sequence[Delivery] = ()
    """Ended deliveries in order, at least those that ``Runner.settle`` was not told of."""

    @property
    def changed_at_ms(self) -> int:
        """When it was started or has ended."""
        return self.ended_at_ms or self.started_at_ms

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self.outcome)


class Runner(Protocol):
    """Starts and watches runs. Only one thread calls it; no call waits for a program or the network."""

    def recover(self) -> Iterable[RunStatus]:
        """Every run that there is, also ended ones that ``settle`` was not told of. Called once, before all others."""

    def start(self, spec: RunSpec, lease_ends_s: float | None) -> None:
        """Start a run; does nothing for one that is known already.

        ``lease_ends_s`` is as for ``renew``; None for pinned runs. When it returns the run is on disk (fsync), so that
        it is known after any end of the agent. Raises ``RunRefusedError`` when it cannot, and then there is no run.
        """

    def stop(self, key: RunKey, reason: str, outcome: Outcome) -> None:
        """Ask a run to end: SIGTERM, its ``stop_grace``, SIGKILL. Nothing happens when it is over or unknown.

        ``outcome`` is what its end then says. Asking again changes nothing.
        """

    def deliver(self, key: RunKey, model: ModelSpec) -> None:
        """Give a run another model; ``RunStatus.deliveries`` says how it went.

        A delivery that comes again (by model and deployment) does nothing.
        """

    def renew(self, key: RunKey, lease_ends_s: float) -> None:
        """A movable run may go on until then by ``CLOCK_BOOTTIME``; it has ended by then, ``stop_grace`` included.

        It ends even when the agent is stopped or gone, with outcome ``lease_lost``. Once it has begun to end a later
        renewal changes nothing.
        """

    def changed(self) -> Iterable[RunStatus]:
        """Runs that have changed since the last call. A restart of the program at least shows as ``starts``."""

    def settle(self, status: RunStatus) -> None:
        """The control plane knows what ``status`` says: an ended run may be forgotten, its files kept as ``logs`` says."""

    def logs(self, key: RunKey) -> Path | None:
        """Folder of the run's log files; None when it has none on this host."""

    def pids(self, key: RunKey) -> Iterable[int]:
        """Processes of the run at the root of its trees."""

    def wake_fd(self) -> int | None:
        """Descriptor that is readable when something has changed, or None."""

    def close(self) -> None:
        """Let go of what is open. Runs go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerContext:
    """What a runner is made with."""

    settings: Settings
    agent_id: str
    folder: Path
    """Its own, inside the agent's data folder."""
    supervisor_pid: int | None
    """Runs end with this process; None: they outlive every other."""


_RUNNERS: dict[str, Callable[[RunnerContext], Runner | None]] = {}


def register(name: str, make: Callable[[RunnerContext], Runner | None]) -> None:
    """Make a runner known by the name that definitions use; ``make`` gives None where it is not set up."""
    _RUNNERS[name] = make


def runner_makers() -> dict[str, Callable[[RunnerContext], Runner | None]]:
    """Every runner by its name."""
    import_modules_of(__name__)
    return dict(_RUNNERS)
