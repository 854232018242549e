"""The supervisor as a process: ``python -m parallelm.mcenter.local_stack PARENT_PID PLAN``. ``LocalStack`` starts it.

With a parent pid the stack ends with that parent; with 0 it runs until it gets SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import time

from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.plan import Plan
from parallelm.mcenter.local_stack.process import die_with
from parallelm.mcenter.local_stack.stack import run_stack


def _say(name: str, line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {name:<10} | {line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the plan of the command line; returns the exit code."""
    parent, plan = int(sys.argv[1]), Plan.from_json(sys.argv[2])
    if parent:
        die_with(parent, signal.SIGTERM)
    try:
        run_stack(plan, _say, lambda _settings: None)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
