"""``mcenter tail``: print records of a topic, decoded."""

from __future__ import annotations

from itertools import islice

import click

from parallelm.connections import load_settings
from parallelm.mcenter.number_options import TIMEOUT_S
from parallelm.mcenter.record_lines import as_json, as_text
from parallelm.mcenter.terminal import echo
from parallelm.operations.errors import UnknownFieldError, UnknownTopicError
from parallelm.operations.topic_records import FieldFilter, find_topic, read_records
from parallelm.schemas.times import TimeError, UnlikelyUnitsError, floor_ms, time_ns
from parallelm.schemas.topic_reader import StartPoint
from parallelm.schemas.well_known import TIME_BOUNDS

_KINDS = ("beginning", "end", "latest")


class StartType(click.ParamType):
    """Where to start: beginning, end, latest:N, or a time."""

    name = "start"

    def convert(
        self, value: str | StartPoint, param: click.Parameter | None, ctx: click.Context | None
    ) -> StartPoint:
        """Parse the option's text."""
        if isinstance(value, StartPoint):
            return value
        word, _, number = value.replace(" ", ":").partition(":")
        if word in _KINDS:
            if word == "latest" and number.isdecimal() and int(number):
                return StartPoint("latest", int(number))
            if word != "latest" and not number:
                return StartPoint(word)
        try:
            # Nothing was ingested before 1970.
            return StartPoint("time", max(0, floor_ms(time_ns(value, default_units="millisecond"))))
        except UnlikelyUnitsError as error:
            self.fail(f"{error.what}; write epoch milliseconds", param, ctx)
        except TimeError:
            self.fail(
                f"{value!r} is neither beginning, end, latest:N, epoch milliseconds nor an ISO time from {TIME_BOUNDS} "
                "such as 2026-01-31T12:00 (UTC unless it says otherwise)",
                param,
                ctx,
            )


class FilterType(click.ParamType):
    """field=value."""

    name = "field=value"

    def convert(
        self, value: str | FieldFilter, param: click.Parameter | None, ctx: click.Context | None
    ) -> FieldFilter:
        """Parse the option's text."""
        if isinstance(value, FieldFilter):
            return value
        path, equals, text = value.partition("=")
        if not equals or not path:
            self.fail(f"{value!r} is not a filter; write field=value, for example state=firing", param, ctx)
        return FieldFilter(tuple(path.split(".")), text)


@click.command()
@click.argument("topic")
@click.option("--json", "json_lines", is_flag=True, help="One JSON object a line, for jq and programs.")
@click.option(
    "--from",
    "start",
    type=StartType(),
    default="latest:10",
    show_default=True,
    help="beginning, end, latest:N (over all partitions), epoch milliseconds, or an ISO time of ingestion.",
)
@click.option(
    "--follow/--no-follow", "-f", default=None, help="Wait for new records. Default: only with --from end."
)
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many printed records.")
@click.option("--mlapp", help="Only records of this MLApp.")
@click.option("--node", help="Only records of this node.")
@click.option(
    "--where",
    "filters",
    type=FilterType(),
    multiple=True,
    help="Only records with this value at a field: state=firing, series.name=accuracy, labels.carrier=UA. Repeatable.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=TIMEOUT_S,
    default=15.0,
    show_default=True,
    help="Seconds to wait for the brokers.",
)
def tail(
    topic: str,
    start: StartPoint,
    limit: int | None,
    mlapp: str | None,
    node: str | None,
    filters: tuple[FieldFilter, ...],
    timeout_s: float,
    *,
    json_lines: bool,
    follow: bool | None,
) -> None:
    """Print the records of TOPIC, decoded. The topic's prefix may be left out.

    A record that cannot be decoded is printed with the reason and its first bytes, and never stops the listing; with
    filters only records that were decoded are printed.
    """
    settings = load_settings()
    try:
        wanted = find_topic(topic, settings.kafka.topic_prefix)
        records = read_records(
            settings,
            wanted,
            start,
            filters,
            mlapp_id=mlapp,
            node_id=node,
            follow=start.kind == "end" if follow is None else follow,
            timeout_s=timeout_s,
        )
    except (UnknownTopicError, UnknownFieldError) as error:
        raise click.UsageError(str(error)) from error
    name = wanted.full_name(settings.kafka.topic_prefix)
    try:
        for record in islice(records, limit):
            echo(as_json(name, record) if json_lines else as_text(record))
    except KeyboardInterrupt:
        # The usual end of a listing that follows.
        return
