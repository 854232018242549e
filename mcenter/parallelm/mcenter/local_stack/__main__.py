"""The supervisor as a process: ``python -m parallelm.mcenter.local_stack PARENT_PID PLAN``. ``LocalStack`` starts it.

With a parent pid the stack ends with that parent; with 0 it runs until it gets SIGTERM.
"""

from __future__ import annotations

import signal
import sys

from parallelm.supervision.die_with_parent import die_with
from parallelm.supervision.service_frame import catch_signals, serving


def main() -> int:
    """Run the plan of the command line; returns the exit code."""
    from parallelm.mcenter.local_stack.errors import StackError
    from parallelm.mcenter.local_stack.output import FileOutput
    from parallelm.mcenter.local_stack.plan import Plan
    from parallelm.mcenter.local_stack.stack import run_stack

    plan = Plan.from_json(sys.argv[2])
    try:
        with serving() as stop:
            run_stack(plan, FileOutput(plan.folder / "logs" / "stack.log"), stop, lambda: None)
    except StackError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    catch_signals()
    if parent := int(sys.argv[1]):
        die_with(parent, signal.SIGTERM)
    sys.exit(main())
