"""The containers of a run: a command runs as it is, a component through this package, which knows what it is called with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.kubernetes.objects import FOLDER, IN_POD, MAIN, Container
from parallelm.agent.pipelines import variables
from parallelm.agent.pipelines.step_paths import inputs_of, outputs_of
from parallelm.definitions.components import output_names, step_variables
from parallelm.definitions.run_spec import program_of, step_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.definitions.run_spec import RunSpec

ROOT, SPECIFICATION = "MCENTER_RUN_ROOT", "MCENTER_RUN_SPECIFICATION"
"""Variables that ``in_pod`` reads: the folder of runs, and the run as JSON."""


def run_path(spec: RunSpec) -> Path:
    """The run's folder in its Pod: laid out as on a host (``keeping.run_folder``)."""
    return Path(FOLDER) / f"{spec.run_id}.{spec.attempt}"


def containers_of(spec: RunSpec) -> Sequence[Container]:
    """One for each step, in their order."""
    return [_container(spec, at) for at in range(len(spec.running.steps))]


def environ_of(spec: RunSpec, agent_id: str) -> dict[str, str]:
    """What all programs of a run are told."""
    run = RunFolder(run_path(spec))
    found = variables.of_run(spec, run, agent_id)
    found |= {ROOT: FOLDER, SPECIFICATION: spec.json()}
    if spec.model is not None:
        found |= {variables.MODEL_ID: spec.model.model_id, variables.MODEL_PATH: str(run.model)}
    return found


def _container(spec: RunSpec, at: int) -> Container:
    steps, step = spec.running.steps, spec.running.steps[at]
    name = step_id(step, at)
    is_last = at == len(steps) - 1
    known_as = MAIN if is_last else f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')[:50]}-{at + 1}"
    run = RunFolder(run_path(spec))
    if step.component is not None:
        return Container(name=known_as, command=(*IN_POD, "step", str(at)), working_folder=str(run.work))
    outputs = outputs_of(name, output_names(steps, at, None), run)
    return Container(
        name=known_as,
        command=program_of(step.command or ""),
        working_folder=str(run.work),
        environ=step_variables(inputs_of(step, run), outputs),
    )
