"""Where in its run's folder a step finds what others hand on, and puts what it hands on: on a host and in a Pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.agent.keeping.run_folder import RunFolder
    from parallelm.definitions.run_spec import StepSpec


def inputs_of(step: StepSpec, run: RunFolder) -> dict[str, str]:
    """Paths by the names of its inputs."""
    return {each.input or each.output: str(run.outputs / each.parent / each.output) for each in step.parents}


def outputs_of(name: str, outputs: Iterable[str], run: RunFolder) -> dict[str, str]:
    """Paths by the names of what the step of this name hands on."""
    return {output: str(run.outputs / name / output) for output in outputs}
