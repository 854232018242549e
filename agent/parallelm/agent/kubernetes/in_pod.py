"""What runs of this package in a Pod: ``fetch`` makes the run's folder ready, ``step N`` becomes the program of a step.

The folder and the plan in it are those of a run on a host, made by the same code.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.kubernetes.steps import ROOT, SPECIFICATION
from parallelm.agent.pipelines.errors import PreparationError
from parallelm.definitions.run_spec import RunSpec


def main() -> int:
    """Entry point; exit code 0 when the folder is ready. A step does not come back."""
    match sys.argv[1:]:
        case ["fetch"]:
            return _fetch()
        case ["step", number]:
            _step(int(number))
    print("usage: python -m parallelm.agent.kubernetes.in_pod fetch | step NUMBER", file=sys.stderr)  # noqa: T201 - its log
    return 2


def _fetch() -> int:
    from parallelm.agent.pipelines import model_files, variables
    from parallelm.agent.pipelines.components import ComponentCache
    from parallelm.agent.pipelines.environments import PythonEnvironments
    from parallelm.agent.pipelines.planning import Planner
    from parallelm.connections import load_settings

    spec = RunSpec.of_json(os.environ[SPECIFICATION])
    root, settings = Path(os.environ[ROOT]), load_settings()
    folder, _ = RunFolder.accept(root, spec.run_id, spec.attempt, spec.json())
    try:
        if spec.model is not None:
            model_files.switch(
                folder, spec.model.model_id, model_files.download(folder, spec.model, settings)
            )
        cache = ComponentCache(root / "components", settings)
        environments = PythonEnvironments(root / "environments")
        planner = Planner(
            cache, environments, variables.of_host(os.environ), os.environ.get("AGENT_PUBLIC_ADDRESS", "")
        )
        folder.save_plan(planner.plan(spec, folder))
    except PreparationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - its log is where people look
        return 1
    return 0


def _step(number: int) -> None:
    spec = RunSpec.of_json(os.environ[SPECIFICATION])
    root = Path(os.environ[ROOT])
    folder = RunFolder(root / f"{spec.run_id}.{spec.attempt}")
    plan = folder.plan()
    step = plan.steps[number]
    os.chdir(step.folder)
    environ = dict(os.environ) | dict(plan.environ) | dict(folder.variables()) | dict(step.environ)
    os.execvpe(step.command[0], list(step.command), environ)  # noqa: S606 - what the definition says is run


if __name__ == "__main__":
    sys.exit(main())
