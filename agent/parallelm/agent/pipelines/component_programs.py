"""What the components of this host are called with, from their ``component.yaml``.

Each is read once, by a process of its own (``python -m parallelm.agent.pipelines.component_programs FOLDER``): what reads
YAML and its mistakes takes 12 MB, which the agent would have as long as it runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

from parallelm.agent.keeping.files import read_json, replace_json
from parallelm.agent.pipelines.errors import PreparationError
from parallelm.definitions.components.program import ProgramSpec
from parallelm.definitions.errors import SpecificationError

_FILE = "program.json"
"""Beside the component's folder."""
_READING = threading.Lock()


def program_of(folder: Path) -> ProgramSpec:
    """The program of the component in ``folder``, which is there for good. Raises ``PreparationError``, ``OSError``."""
    with _READING:  # of runs that begin together, one reads it
        try:
            return ProgramSpec.of(read_json(folder.parent / _FILE))
        except SpecificationError:  # it was not read yet, or by another version
            program = _read(folder)
        replace_json(folder.parent / _FILE, program.table())
    return program


def _read(folder: Path) -> ProgramSpec:
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        told = json.loads(done.stdout)
        if why := told.get("problem"):
            raise PreparationError(f"component {folder.name!r}: {why}")
        return ProgramSpec.of(told)
    except ValueError as error:
        raise PreparationError(
            f"component {folder.name!r} cannot be read: {done.stderr.strip()[-1000:]}"
        ) from error


def _main() -> None:
    from parallelm.definitions.components import read_component
    from parallelm.definitions.errors import ComponentFolderError, DefinitionError

    try:
        told = read_component(Path(sys.argv[1])).form.spec().table()
    except (DefinitionError, ComponentFolderError) as error:
        told = {"problem": str(error)}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    _main()
