"""Tries a model before a running program gets it: a command of the node, run with the new model."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from parallelm.agent.pipelines.secrets import masked
from parallelm.definitions.run_spec import program_of
from parallelm.supervision.die_with_parent import killed_with_us

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LAST_CHARACTERS = 2_000
_READ_BYTES = 64_000
"""More than is told, so that a secret is not met cut in two, and then not known."""


def smoke_test(
    command: str | list[str],
    environ: Mapping[str, str],
    secrets: Mapping[str, str],
    folder: Path,
    time_limit_s: float,
) -> str:
    """Why the model has not passed, with the last that the test wrote, secrets masked; empty when it has."""
    with (folder / "smoke-test.log").open("w+b") as log:
        process = subprocess.Popen(
            killed_with_us(*program_of(command)),
            env={**environ, **secrets},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            exit_code = process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if exit_code == 0:
            return ""
        log.seek(max(0, log.seek(0, os.SEEK_END) - _READ_BYTES))
        said = masked(log.read().decode("utf-8", "replace"), environ, secrets).strip()[-_LAST_CHARACTERS:]
    reason = (
        f"the smoke test took longer than {time_limit_s:g} s"
        if exit_code is None
        else f"the smoke test ended with exit code {exit_code}"
    )
    return f"{reason}: {said}" if said else reason
