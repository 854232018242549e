"""From a run's specification to the plan of its keeper: what programs with what arguments, variables and limits."""

from __future__ import annotations

import re
import socket
import sys
from typing import TYPE_CHECKING

from parallelm.agent.keeping.plan import Plan, RestartPlan, StepPlan
from parallelm.agent.pipelines import component_programs, variables
from parallelm.agent.pipelines.errors import PreparationError
from parallelm.agent.pipelines.step_paths import inputs_of, outputs_of
from parallelm.definitions.components import (
    command_line,
    output_names,
    resolved_arguments,
    step_variables,
)
from parallelm.definitions.errors import ArgumentsError
from parallelm.definitions.run_spec import program_of, step_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.agent.keeping.run_folder import RunFolder
    from parallelm.agent.pipelines.components import ComponentCache
    from parallelm.agent.pipelines.environments import PythonEnvironments
    from parallelm.definitions.components.program import ProgramSpec
    from parallelm.definitions.run_spec import RunningSpec, RunSpec, StepSpec

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_MODEL_TAG = "input_model_path"
_LEASE_GRACE = 1 / 3
"""Part of the lease that programs have to end in, at most: what is left of it is renewed several times."""


def size_bytes(text: str) -> int:
    """A size as Kubernetes writes it."""
    found = re.fullmatch(r"([\d.]+)([A-Za-z]*)", text)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is no size")
    return int(float(found[1]) * _UNITS[found[2]])


class Planner:
    """Makes plans on this host."""

    def __init__(
        self,
        components: ComponentCache,
        environments: PythonEnvironments,
        host: Mapping[str, str],
        agent_id: str,
        cgroups: str = "",
    ) -> None:
        self._components, self._environments, self._agent_id = components, environments, agent_id
        self._host = variables.without_secrets(host)
        self._cgroups = cgroups

    def plan(self, spec: RunSpec, run: RunFolder) -> Plan:
        """The plan; components and their environments are there afterwards. Raises ``PreparationError``."""
        running = spec.running
        environ = variables.of_run(spec, run, self._agent_id)
        if not running.steps:
            raise PreparationError(f"node {spec.node_id!r} has no steps: nothing is to be run")
        memory = running.resources.memory
        return Plan(
            steps=[self._step(spec, run, at, environ) for at in range(len(running.steps))],
            environ=environ,
            restart=_restart(running) if spec.mode == "online" else None,
            time_limit_s=running.time_limit / 1000,
            stop_grace_s=running.stop_grace / 1000,
            lease_grace_s=min(running.stop_grace, running.lease * _LEASE_GRACE) / 1000,
            cpus=running.resources.cpus or 0,
            memory_bytes=size_bytes(memory) if memory else 0,
            cgroups=self._cgroups,
            log_bytes=size_bytes(running.logs.max_size),
            log_keep_s=running.logs.keep / 1000,
        )

    def _step(self, spec: RunSpec, run: RunFolder, at: int, environ: Mapping[str, str]) -> StepPlan:
        step = spec.running.steps[at]
        name = step_id(step, at)
        inputs = inputs_of(step, run)
        folder, form = run.work, None
        if step.component is not None:
            folder = run.work / name
            form = self._component(spec, step.component, folder)
        outputs = outputs_of(name, output_names(spec.running.steps, at, form), run)
        (run.outputs / name).mkdir(exist_ok=True)
        if form is None:
            command, with_model = program_of(step.command or ""), list[str]()
        else:
            command, with_model = self._commands(step, form, folder, environ, inputs, outputs, run)
        return StepPlan(
            step_id=name,
            command=command,
            folder=str(folder),
            environ=step_variables(inputs, outputs),
            command_with_model=with_model,
        )

    def _component(self, spec: RunSpec, name: str, folder: Path) -> ProgramSpec:
        found = next((each for each in spec.components if each.name == name), None)
        if found is None:
            raise PreparationError(f"component {name!r} is not part of the run's specification")
        self._components.copy(found, folder)
        return component_programs.program_of(self._components.folder(found))

    def _commands(
        self,
        step: StepSpec,
        form: ProgramSpec,
        folder: Path,
        environ: Mapping[str, str],
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        run: RunFolder,
    ) -> tuple[list[str], list[str]]:
        """The command as things stand, and that of a start after the run's first model has come; empty: the same one."""
        python = sys.executable
        if form.python is not None:
            python = str(self._environments.python(folder, form.python.lock, form.python.version))
        by_tag = _by_tag(form, run)

        def command(given: Mapping[str, str]) -> list[str]:
            try:
                arguments = resolved_arguments(
                    form,
                    step.arguments,
                    self._host | dict(environ),
                    by_tag=given,
                    inputs=inputs,
                    outputs=outputs,
                )
            except ArgumentsError as error:
                raise PreparationError(str(error)) from error
            return command_line(form, arguments, python)

        now = command(by_tag)
        if _MODEL_TAG in by_tag or _MODEL_TAG not in _tags(form):
            return now, []
        return now, command({**by_tag, _MODEL_TAG: str(run.model)})


def _tags(form: ProgramSpec) -> set[str | None]:
    return {argument.tag for argument in form.arguments.values()}


def _by_tag(form: ProgramSpec, run: RunFolder) -> dict[str, str]:
    """What the agent itself gives to arguments."""
    tags = _tags(form)
    given = {}
    if "model_dir" in tags:
        given["model_dir"] = str(run.path / "model-output")
        (run.path / "model-output").mkdir(exist_ok=True)
    if _MODEL_TAG in tags and run.model.exists():
        given[_MODEL_TAG] = str(run.model)
    if "public_port" in tags:
        with socket.socket() as free:
            free.bind(("", 0))
            given["public_port"] = str(free.getsockname()[1])
    return given


def _restart(running: RunningSpec) -> RestartPlan:
    form = running.restart
    return RestartPlan(
        when=form.when,
        delay_s=form.delay / 1000,
        max_delay_s=form.max_delay / 1000,
        limit=form.limit,
        window_s=form.window / 1000,
    )
