"""Memory that keeping 200 pipelines takes on one host, above the pipelines' own: keepers and what they are forked from."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from parallelm.agent.keeping.keepers import Keepers
from parallelm.agent.keeping.plan import Plan, StepPlan
from parallelm.agent.keeping.process_identity import ProcessIdentity

if TYPE_CHECKING:
    from parallelm.agent.keeping.run_folder import RunFolder

GIVE_UP_AFTER_S = 120.0


def main() -> None:
    """Print the proportional set size of all keepers, and of the largest."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pipelines", type=int, default=200)
    count = options.parse_args().pipelines
    with tempfile.TemporaryDirectory() as folder:
        keepers = Keepers(Path(folder), end_with=ProcessIdentity.own())
        began_s = time.monotonic()
        runs = [_start(keepers, number) for number in range(count)]
        _wait_until_running(runs)
        took_s = time.monotonic() - began_s
        found = [keeper.pid for run in runs if (keeper := run.keeper()) is not None]
        sizes = [_pss_bytes(pid) for pid in found]
        zygote = psutil.Process(found[0]).ppid()
        total = sum(sizes) + _pss_bytes(zygote)
        print(f"{count} pipelines run after {took_s:.1f} s")
        print(
            f"keepers and what they are forked from: {total / 1e6:.1f} MB, {total / count / 1e3:.0f} kB each"
        )
        print(f"largest keeper: {max(sizes) / 1e3:.0f} kB; forked from: {_pss_bytes(zygote) / 1e3:.0f} kB")
        for run in runs:
            keepers.stop(run, "measured", grace_s=0)
        for run in runs:
            while keepers.phase(run) != "ended":
                time.sleep(0.01)
        keepers.close()


def _start(keepers: Keepers, number: int) -> RunFolder:
    run, _ = keepers.accept(f"run-{number}", 1, "{}")
    step = StepPlan(step_id="step-1", command=["sleep", "1000"], folder=str(run.work))
    # As much as a run has to say of itself.
    environ = {f"VARIABLE_{at}": "x" * 40 for at in range(30)}
    keepers.start(run, Plan(steps=[step], environ=environ), inherited=dict(os.environ))
    return run


def _wait_until_running(runs: list[RunFolder]) -> None:
    until_s = time.monotonic() + GIVE_UP_AFTER_S
    while not all(run.progress().pid for run in runs):
        if time.monotonic() > until_s:
            raise SystemExit("the pipelines do not start")
        time.sleep(0.05)


def _pss_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_full_info().pss)


if __name__ == "__main__":
    main()
