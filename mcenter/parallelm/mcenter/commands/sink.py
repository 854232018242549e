"""``mcenter sink``: run the sink: Kafka to ClickHouse."""

from __future__ import annotations

import click

from parallelm.connections import load_settings
from parallelm.mcenter.logs import log_as_service
from parallelm.mcenter.number_options import COUNT, SESSION_TIMEOUT_S, SHARE, TIMEOUT_S
from parallelm.supervision.health import HEALTH
from parallelm.supervision.service_frame import announce_ready, serving


@click.command()
@click.option(
    "--topics", "names", metavar="NAME,…", help="Only these topics, without prefix.  [default: all]"
)
@click.option("--group", default="", help="Consumer group.  [default: the topic prefix and `sink`]")
@click.option(
    "--flush-ms", type=COUNT, default=200, show_default=True, help="Milliseconds to collect before an insert."
)
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
    help="Name of this sink that stays the same over restarts, unique among those that run: after an end of any kind it "
    "gets its partitions back at once when it is started again with it.",
)
@click.option(
    "--retry-limit-s",
    type=TIMEOUT_S,
    default=600.0,
    show_default=True,
    help="End when ClickHouse or Kafka has been unavailable for so many seconds.",
)
@click.option(
    "--dead-letter-run",
    type=COUNT,
    default=1000,
    show_default=True,
    help="Stop a topic before more dead letters in a row than that.",
)
@click.option(
    "--dead-letter-ratio",
    type=SHARE,
    default=0.5,
    show_default=True,
    help="Stop a topic when a greater share of its last 2000 records are dead letters.",
)
def sink(
    names: str | None,
    group: str,
    flush_ms: int,
    session_timeout_s: float,
    instance_id: str,
    retry_limit_s: float,
    dead_letter_run: int,
    dead_letter_ratio: float,
) -> None:
    """Run the sink: Kafka to ClickHouse, exactly once in effect. Several side by side share the partitions."""
    from parallelm.schemas.topics import by_name
    from parallelm.sinks import DeadLetterLimit, SinkError, SinkOptions, run_sink, share_arenas
    from parallelm.sinks.tables import STORED_TOPICS

    share_arenas()
    settings = load_settings(role="admin")
    log_as_service(settings.log, service="sink")
    try:
        topics = (
            [by_name(name.strip(), settings.kafka.topic_prefix) for name in names.split(",")]
            if names is not None
            else None
        )
    except KeyError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--topics") from error
    for topic in topics or ():
        if topic not in STORED_TOPICS:
            raise click.BadParameter(
                f"topic {topic.name!r} is not stored in the warehouse", param_hint="--topics"
            )
    options = SinkOptions(
        topics=topics or STORED_TOPICS,
        group=group,
        flush_interval_s=flush_ms / 1000,
        session_timeout_s=session_timeout_s,
        instance_id=instance_id,
        retry_limit_s=retry_limit_s,
        dead_letter_limit=DeadLetterLimit(max_run=dead_letter_run, max_ratio=dead_letter_ratio),
    )
    try:
        with serving() as stop:
            run_sink(settings, options, stop, announce_ready, HEALTH.watch)
    except SinkError as error:
        raise click.ClickException(str(error)) from error
