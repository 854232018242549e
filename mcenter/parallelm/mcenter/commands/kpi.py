"""``mcenter kpi``: upload and list business KPIs."""

from __future__ import annotations

import socket
import sys
import time
import uuid
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import told_in_one_line
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.results import result_options, write_result
from parallelm.operations.kpi_file import (
    UNITS_PER_MS,
    KpiFile,
    KpiFileError,
    TimestampRule,
    latest_ms,
    read_kpi_file,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.records import KpiPoint

_POINTS_A_RECORD = 500
_SHOWN_MISTAKES = 20
_CONNECT_TIMEOUT_S = 15.0
_TIMEOUT_S = 30.0


@click.group()
def kpi() -> None:
    """Upload and list business KPIs."""


@kpi.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mlapp", "mlapp_id", default="default", show_default=True, help="MLApp whose KPIs they are.")
@click.option(
    "--timezone", default="UTC", show_default=True, help="Of ISO timestamps that name none: Europe/Berlin, …"
)
@click.option(
    "--unit", type=click.Choice(list(UNITS_PER_MS)), help="Unit of timestamps that are numbers since 1970."
)
@click.option("--skip-bad", is_flag=True, help="Upload the good lines and report the bad ones.")
@click.option("--allow-future", is_flag=True, help="Take timestamps that are more than a day ahead.")
def upload(
    file: Path, mlapp_id: str, timezone: str, unit: str | None, *, skip_bad: bool, allow_future: bool
) -> None:
    """Upload the KPI points in FILE, a CSV with the columns kpi, timestamp and value; all others are labels.

    A timestamp is ISO 8601 (2013-01-31, 2013-01-31T12:00:00+01:00), in --timezone when it names none, or a number
    since 1970 in --unit. Past ones are the point of it. Uploading a point again makes a new revision of it. When a line
    is bad, nothing is uploaded and every mistake is told with its line and column.
    """
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise click.BadParameter(f"unknown time zone {timezone!r}", param_hint="--timezone") from error
    latest = latest_ms(time.time_ns() // 1_000_000, allow_future=allow_future)
    found = _read(file, TimestampRule(timezone=zone, unit=unit or "", latest_ms=latest))
    for mistake in found.mistakes[:_SHOWN_MISTAKES]:
        click.echo(f"{file}: {mistake}", err=True)
    if len(found.mistakes) > _SHOWN_MISTAKES:
        click.echo(f"{file}: and {len(found.mistakes) - _SHOWN_MISTAKES} more", err=True)
    if found.bad_lines and not skip_bad:
        raise click.ClickException(
            f"{found.bad_lines} bad lines: nothing was uploaded (--skip-bad uploads the {len(found.points)} good ones)"
        )
    if not found.points:
        raise click.ClickException(f"{file} has no KPI points")
    _send(load_settings(), mlapp_id, file.name, found.points)
    told = f"uploaded {len(found.points)} points of {len({point.name for point in found.points})} KPIs to MLApp {mlapp_id}"
    if found.bad_lines:
        told += f"; {found.bad_lines} bad lines were left out"
    if found.repeated:
        told += f"; {found.repeated} points stand in the file more than once, the last one holds"
    click.echo(told)


@kpi.command(name="list")
@click.argument("name", required=False)
@click.option("--mlapp", "mlapp_id", help="Only KPIs of this MLApp.")
@click.option(
    "--label", "labels", type=KEY_VALUE, multiple=True, help="Only points with this label; repeatable."
)
@result_options
def list_(
    name: str | None,
    mlapp_id: str | None,
    labels: tuple[tuple[str, str], ...],
    format_: str,
    output: Path | None,
) -> None:
    """List KPI points by their latest revision."""
    from parallelm.warehouse.queries import kpis

    settings = load_settings()
    with told_in_one_line(settings):
        found = kpis(settings, name, mlapp_id=mlapp_id, labels=dict(labels))
    write_result(found, format_, output)


def _read(file: Path, rule: TimestampRule) -> KpiFile:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return read_kpi_file(lines, rule)
    except (KpiFileError, OSError) as error:
        raise click.ClickException(f"{file}: {error}") from error


def _send(settings: Settings, mlapp_id: str, source: str, points: Sequence[KpiPoint]) -> None:
    from confluent_kafka import KafkaError, KafkaException, Producer

    from parallelm.connections.kafka import client_config
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.kpi_points import points_of_one_record
    from parallelm.schemas.records import KpiBatch, Origin
    from parallelm.schemas.registry import make_registry
    from parallelm.schemas.topic_admin import connect
    from parallelm.schemas.topics import KPIS

    prefix = settings.kafka.topic_prefix
    topic = KPIS.full_name(prefix)
    if topic not in connect(settings, _CONNECT_TIMEOUT_S)[1].topics:
        raise click.ClickException(
            f"topic {topic!r} is not on the cluster; make it with `mcenter topics create`"
        )
    codec = Codec(make_registry(settings.schema_registry, prefix))
    producer = Producer(
        client_config(
            settings.kafka,
            enable_idempotence=True,
            compression_type="lz4",
            partitioner="murmur2_random",
            message_timeout_ms=int(_TIMEOUT_S * 1000),
        )
    )
    failures: list[str] = []

    def delivered(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            failures.append(error.str())

    origin = Origin(mlapp_id=mlapp_id, node_id="", pipeline_instance_id="", agent_id=socket.gethostname())
    producer_id = uuid.uuid4().hex
    try:
        sent = seq = 0
        with click.progressbar(
            length=len(points), label="uploading", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            while sent < len(points):
                taken = list(points_of_one_record(points[sent : sent + _POINTS_A_RECORD]))
                batch = KpiBatch(origin=origin, producer_id=producer_id, seq=seq, source=source, points=taken)
                sent, seq = sent + len(taken), seq + 1
                producer.produce(topic, codec.encode(batch), mlapp_id, on_delivery=delivered)
                producer.poll(0)
                bar.update(len(taken))
        left = producer.flush(_TIMEOUT_S + 5)
    except (KafkaException, BufferError) as error:
        raise click.ClickException(f"the KPIs cannot be sent: {error}") from error
    if failures or left:
        raise click.ClickException(
            f"Kafka at {settings.kafka.bootstrap_servers} did not take all points: "
            f"{failures[0] if failures else 'no answer'}; upload the file again: points that arrived get a revision"
        )
