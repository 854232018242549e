"""Which agent gets a run, or why none does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.definitions.running import ResourcesForm, RunningForm
    from parallelm.stream_processors.scheduling.agents import Agents, AgentView

_UNITS = {
    "": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def choose(
    agents: Agents, running: RunningForm, *, instance_id: str, home: str = "", avoid: str = ""
) -> tuple[AgentView | None, str]:
    """The agent for a run, or None and what the run waits for.

    ``home`` is the agent that a pinned instance stays with while it is registered and fits; ``avoid`` is taken only when no
    other fits. Of those that fit it is the one with the fewest runs; of equal ones always the same for one instance.
    """
    fitting = [view for view in agents.views.values() if not unfit(view, running)]
    if not fitting:
        return None, _nobody_fits(agents, running)
    kept = next((view for view in fitting if view.agent_id == home), None)
    if kept is not None:
        if kept.takes_runs:
            return kept, ""
        return None, f"waits for agent {home!r}, which it is pinned to: {_absence(kept)}"
    free = [view for view in fitting if view.takes_runs]
    if not free:
        absent = _shortly(f"{view.agent_id!r} {_absence(view)}" for view in fitting)
        return None, f"waits for an agent: of those that fit, {absent}"
    free = [view for view in free if view.agent_id != avoid] or free
    least = min(map(agents.load, free))
    equal = (view for view in free if agents.load(view) == least)
    # Not ``digest``: this is asked for each run, of up to a thousand agents.
    return min(equal, key=lambda view: crc32(f"{instance_id}/{view.agent_id}".encode())), ""


def unfit(view: AgentView, running: RunningForm) -> str:
    """Why an agent cannot run a node; empty when it can."""
    missing = {name: value for name, value in running.agents.items() if view.labels.get(name) != value}
    if missing:
        return f"has not {_labels(missing)}"
    if running.runner not in view.runners:
        return f"has no runner {running.runner!r}"
    return _too_small(view, running.resources)


def _too_small(view: AgentView, wanted: ResourcesForm) -> str:
    """A host whose size is not known is taken to be large enough."""
    if wanted.cpus is not None and view.cpus and view.cpus < wanted.cpus:
        return f"has {view.cpus:g} CPUs, {wanted.cpus:g} are wanted"
    if wanted.memory is not None and view.memory_bytes and view.memory_bytes < memory_bytes(wanted.memory):
        return f"has {view.memory_bytes >> 20} MiB of memory, {wanted.memory} are wanted"
    return ""


def memory_bytes(text: str) -> int:
    """Bytes of an amount as Kubernetes writes it."""
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return int(float(number) * _UNITS[unit])


def _absence(view: AgentView) -> str:
    if not view.heard_of:
        return "is not heard of"
    return f"is {view.state}"


def _nobody_fits(agents: Agents, running: RunningForm) -> str:
    wanted = f" with {_labels(running.agents)}" if running.agents else ""
    if not agents.views:
        return f"waits for an agent{wanted}: there is none at all; start one with `mcenter agent`"
    reasons = _shortly(f"{view.agent_id!r} {unfit(view, running)}" for view in agents.views.values())
    return f"waits for an agent{wanted}: there is none; {reasons}"


_LISTED = 5


def _shortly(found: Iterable[str]) -> str:
    every = sorted(found)
    more = f" and {len(every) - _LISTED} more" if len(every) > _LISTED else ""
    return ", ".join(every[:_LISTED]) + more


def _labels(labels: dict[str, str]) -> str:
    word = "label" if len(labels) == 1 else "labels"
    return f"{word} " + ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
