"""Entry point of ``mcenter``: what has to happen before the command line is imported."""

from __future__ import annotations

import sys

from parallelm.supervision.service_frame import catch_signals

SERVICES = (("sink",), ("processors",), ("notifier",), ("agent",), ("schemas", "serve"), ("up",))
"""Sub-commands that run until a signal, which must end them with exit code 0 while they are still starting."""
JOBS = (("demo",), ("up", "--detach"), ("notifier", "test"), ("notifier", "validate"))


def main() -> None:
    """Run the command line of this process."""
    arguments = tuple(sys.argv[1:])
    if any(set(job) <= set(arguments) for job in JOBS):
        catch_signals(is_job=True)
    elif any(arguments[: len(service)] == service for service in SERVICES):
        catch_signals()
    try:
        from parallelm.mcenter.cli import run

        run()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("parallelm"):
            raise
        sys.exit(
            f"mcenter: {error.name} is not installed; `pip install 'mcenter-stream[local]'` brings what `mcenter up` needs. "
            "Other extras: platform (commands and services), server, postgresql, kubernetes, plots, demo"
        )
