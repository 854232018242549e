"""``mcenter tail``: print records of a topic, decoded."""

from __future__ import annotations

from dataclasses import fields
from itertools import islice

import click

from parallelm.connections import load_settings
from parallelm.mcenter.record_lines import (
    DecodedRecord,
    FieldFilter,
    as_json,
    as_text,
    decoded,
    path_exists,
)
from parallelm.mcenter.terminal import echo
from parallelm.schemas import topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import make_registry
from parallelm.schemas.times import TimeError, UnlikelyUnitsError, floor_ms, time_ns
from parallelm.schemas.topic_reader import StartPoint, read_topic

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
                f"{value!r} is neither beginning, end, latest:N, epoch milliseconds nor an ISO time from 1900 to 2299 "
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
    "--timeout", "timeout_s", default=15.0, show_default=True, help="Seconds to wait for the brokers."
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
    wanted = _topic(topic, settings.kafka.topic_prefix)
    wishes = [*filters, *_id_filters(wanted, mlapp_id=mlapp, node_id=node)]
    for wish in filters:
        if not path_exists(wanted.record, wish.path):
            raise click.UsageError(
                f"{wanted.record.__name__} has no field {'.'.join(wish.path)!r}; it has: "
                f"{', '.join(field.name for field in fields(wanted.record))}"
            )
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    name = wanted.full_name(settings.kafka.topic_prefix)
    raw_records = read_topic(
        settings, name, start, follow=start.kind == "end" if follow is None else follow, timeout_s=timeout_s
    )
    records = (decoded(raw, codec) for raw in raw_records)
    chosen = (record for record in records if _passes(record, wishes))
    try:
        for record in islice(chosen, limit):
            echo(as_json(name, record) if json_lines else as_text(record))
    except KeyboardInterrupt:
        # The usual end of a listing that follows.
        return


def _topic(name: str, prefix: str) -> topics.Topic:
    try:
        return topics.by_name(name, prefix)
    except KeyError as error:
        raise click.UsageError(str(error.args[0])) from error


def _id_filters(topic: topics.Topic, **ids: str | None) -> list[FieldFilter]:
    """Filters on ids, which stand in the record itself or in its origin."""
    filters = []
    for field, text in ids.items():
        if text is None:
            continue
        paths = [path for path in ((field,), ("origin", field)) if path_exists(topic.record, path)]
        if not paths:
            raise click.UsageError(f"{topic.record.__name__} has no {field}")
        filters.append(FieldFilter(paths[0], text))
    return filters


def _passes(record: DecodedRecord, wishes: list[FieldFilter]) -> bool:
    return all(record.value is not None and wish.matches(record.value) for wish in wishes)
