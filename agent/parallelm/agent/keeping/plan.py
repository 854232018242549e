"""How a keeper runs a run: what the agent writes down before, and the keeper has in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class StepPlan(NamedTuple):
    """One program of a run."""

    step_id: str
    command: Sequence[str]
    folder: str
    """Working folder; it exists."""
    environ: Mapping[str, str] = {}
    """Above the run's."""
    command_with_model: Sequence[str] = ()
    """Instead of ``command`` once the run has a model, when it had none as this was planned; empty: it is the same."""


class RestartPlan(NamedTuple):
    """When the keeper starts the steps again: times in seconds, ``limit`` 0: without end."""

    when: Literal["always", "on_failure", "never"]
    delay_s: float
    max_delay_s: float
    limit: int
    window_s: float


class Plan(NamedTuple):
    """How a keeper runs the steps of a run, one after the other. Holds no secrets: it is a file."""

    steps: Sequence[StepPlan]
    environ: Mapping[str, str]
    """The whole environment of every step."""
    restart: RestartPlan | None = None
    """None: the run ends with its last step, or with the first that fails."""
    time_limit_s: float = 0
    """Of the run, not counting times in which the host is suspended; 0: none."""
    stop_grace_s: float = 30
    """From SIGTERM to SIGKILL."""
    lease_grace_s: float = 0
    """Within the lease: SIGTERM is sent this long before its end, SIGKILL a tenth of that before."""
    cpus: float = 0
    """0: no limit."""
    memory_bytes: int = 0
    """0: no limit."""
    cgroups: str = ""
    """Folder in which the run's cgroup is made; empty: there are none."""
    log_bytes: int = 100 << 20
    log_keep_s: float = 7 * 86_400

    @classmethod
    def of(cls, table: dict[str, Any]) -> Plan:
        """The plan that ``table`` was made of."""
        restart = table["restart"]
        return cls(
            **table
            | {
                "steps": tuple(StepPlan(**step) for step in table["steps"]),
                "restart": None if restart is None else RestartPlan(**restart),
            }
        )

    def table(self) -> dict[str, Any]:
        """As JSON."""
        restart = self.restart
        return self._asdict() | {
            "steps": [step._asdict() for step in self.steps],
            "restart": None if restart is None else restart._asdict(),
        }
