"""``mcenter processors``: run the stream processors."""

from __future__ import annotations

import logging

import click

from parallelm.connections import load_settings
from parallelm.connections.kafka import limit_repeated_lines
from parallelm.mcenter.logs import log_as_service
from parallelm.mcenter.number_options import SESSION_TIMEOUT_S
from parallelm.supervision.health import HEALTH
from parallelm.supervision.service_frame import announce_ready, serving

PROGRESS_LIMIT_S = 60.0


@click.command()
@click.option(
    "--session-timeout-s",
    type=SESSION_TIMEOUT_S,
    default=10.0,
    show_default=True,
    help="Seconds without a heartbeat after which others take over.",
)
@click.option(
    "--instance-id",
    default="",
    metavar="NAME",
    help="Name of this worker that stays the same over restarts, unique among those that run: after an end of any kind "
    "it gets its partitions back at once when it is started again with it.",
)
def processors(session_timeout_s: float, instance_id: str) -> None:
    """Run the stream processors: alert rules and model policy.

    They read statistics, events, models and definitions, and write mlops.alerts and mlops.deployments. Several side by
    side share the partitions; their state is on a changelog topic.
    """
    from parallelm.schemas.errors import SchemaError
    from parallelm.stream_processors.processors import WorkerError, run_worker

    settings = load_settings()
    log_as_service(settings.log, service="processors")
    clients = ("faust", "mode", "aiokafka")
    for name in clients:
        logging.getLogger(name).setLevel(logging.WARNING)
    limit_repeated_lines(*clients, "parallelm.stream_processors.runtime.patience")
    HEALTH.watch(stalls=_stalls)
    try:
        with serving() as stop:
            run_worker(
                settings,
                stop,
                announce_ready,
                session_timeout_s=session_timeout_s,
                instance_id=instance_id,
            )
    except (SchemaError, WorkerError) as error:
        raise click.ClickException(str(error)) from error


def _stalls() -> str:
    from prometheus_client import REGISTRY

    age_s = REGISTRY.get_sample_value("mcenter_processors_progress_age_seconds") or 0.0
    return f"the processors have made no progress for {age_s:.0f} s" if age_s > PROGRESS_LIMIT_S else ""
