"""The CSV files of the original platform, made of the warehouse: lines come from the server as they are written.

Each query returns columns of bytes: what names the file, and the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._blocks import blocks
from parallelm.warehouse.queries._frames import records
from parallelm.warehouse.queries.captures import CAPTURE_TABLES, END, IN_RANGE, SPILL, START, block_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.warehouse.queries._blocks import Block
    from parallelm.warehouse.queries.captures import CaptureRange

_LINE = "line"
"""Label with the name of a line within a multi-line graph."""
_NUMBER = "multiIf(isNaN(value), 'NaN', value = inf, 'Infinity', value = -inf, '-Infinity', toString(value))"
_OTHER_LABELS = f"mapFilter((label, text) -> label != '{_LINE}', labels)"
_LABELLED = """
    if(empty({labels}), {name}, concat({name}, '{{', arrayStringConcat(arrayMap(
        (label, text) -> concat(label, '=', toJSONString(text)), mapKeys({labels}), mapValues({labels})), ','), '}}'))
"""
"""A name, with its labels as Prometheus writes them: several series of one name stay apart."""
_COLUMNS = (
    "pipeline_instance_id, node_id, agent_id, event_time, producer_id, graph_type, mode, name, text, model_id"
)
_NODE = "if(pipeline_instance_id = '', node_id, pipeline_instance_id)"
_KNOWN_GRAPHS = "'BARGRAPH', 'HISTOGRAM', 'HEATMAP', 'GENERAL_GRAPH', 'MATRIX', 'TABLE', 'KPI', 'OPAQUE', 'HTML', 'VECTOR'"
_TEXT = "if(isValidUTF8(data) AND content_type != 'application/octet-stream', data, base64Encode(data))"
"""A payload as text."""
_LINES = f"""
    SELECT pipeline_instance_id, node_id, agent_id, event_time, producer_id, 'LINEGRAPH' AS graph_type,
        if(category = 'TIME_SERIES', 'TIME_SERIES', 'INSTANT') AS mode, name,
        concat('{{', toJSONString({_LABELLED.format(name="toString(name)", labels="labels")}), ': ', {_NUMBER}, '}}') AS text,
        model_id
    FROM statistics WHERE {IN_RANGE} AND NOT mapContains(labels, '{_LINE}')
"""  # noqa: S608 - made of our own names; values are parameters
_MULTI_LINES = f"""
    SELECT any(pipeline_instance_id), any(node_id), any(agent_id), event_time, any(producer_id),
        'MULTILINEGRAPH' AS graph_type, if(any(category) = 'TIME_SERIES', 'TIME_SERIES', 'INSTANT') AS mode, name,
        concat('{{', arrayStringConcat(arrayMap(each -> concat(each.2, ': ', each.3), arraySort(each -> each.1, groupArray((
            (_series, _index),
            toJSONString({_LABELLED.format(name=f"labels['{_LINE}']", labels=_OTHER_LABELS)}), {_NUMBER}
        )))), ', '), '}}') AS text,
        model_id
    FROM statistics WHERE {IN_RANGE} AND mapContains(labels, '{_LINE}')
    GROUP BY _topic_id, _partition, _offset, name, model_id, event_time, _index
"""  # noqa: S608 - as above
_STRUCTURED = f"""
    SELECT pipeline_instance_id, node_id, agent_id, event_time, producer_id,
        if(graph_type IN ({_KNOWN_GRAPHS}), graph_type, 'OPAQUE') AS graph_type, mode, name,
        {_TEXT} AS text, model_id
    FROM structured_statistics WHERE {IN_RANGE}
"""  # noqa: S608 - as above
_KPIS = f"""
    SELECT argMax(pipeline_instance_id, place), argMax(node_id, place), argMax(agent_id, place), event_time,
        argMax(producer_id, place), 'KPI' AS graph_type, 'TIME_SERIES' AS mode, name,
        concat('{{', toJSONString({_LABELLED.format(name="toString(name)", labels="labels")}), ': ',
            argMax({_NUMBER}, place), '}}') AS text,
        argMax(model_id, place)
    FROM (SELECT *, (ingested_at, _partition, _offset, _index) AS place FROM kpis WHERE {IN_RANGE}) AS revision
    GROUP BY name, labels, event_time
    HAVING NOT argMax(withdrawn, place)
"""  # noqa: S608 - as above


def export_numbers(settings: Settings, chosen: CaptureRange) -> Iterator[Block]:
    """Lines of ``mlopsdb-Ion-stats-….csv`` by pipeline instance, host and time: the two, and the line.

    Numbers, and KPIs by their latest revision. Lines of a multi-line graph that were reported together are one line; what
    has no pipeline instance is under its node.
    """
    lines = f"SELECT {_COLUMNS} FROM ({_LINES}) UNION ALL SELECT * FROM ({_MULTI_LINES}) UNION ALL SELECT * FROM ({_KPIS})"  # noqa: S608 - as above
    yield from blocks(settings, _exported(lines), chosen.parameters, as_bytes=True)


def export_structured(settings: Settings, chosen: CaptureRange) -> Iterator[Block]:
    """The same for tables, graphs, histograms and other statistics that are not a single number."""
    (table,) = (each for each in CAPTURE_TABLES if each.name == "structured_statistics")
    rows = block_rows(settings, table, chosen)
    yield from blocks(settings, _exported(_STRUCTURED), chosen.parameters, as_bytes=True, rows=rows)


def _exported(lines: str) -> str:
    return f"""
        SELECT {_NODE}, agent_id, formatRow('CSV', {_NODE}, toUnixTimestamp64Milli(event_time) * 1000000, agent_id,
            producer_id, graph_type, 0, mode, name, text, if(model_id = '', 'NULL', model_id))
        FROM (SELECT * FROM ({lines}) ORDER BY {_NODE}, agent_id, event_time)
        {SPILL}
    """  # noqa: S608 - as above


def export_events(settings: Settings, chosen: CaptureRange) -> Iterator[Block]:
    """Lines of ``mlopsdb-events-….csv`` in order of time: events, and the alerts that rules have raised."""
    query = f"""
        SELECT formatRow('CSV', toUnixTimestamp64Milli(at) * 1000000, host, id, text, kind, seq, toUInt8(is_alert),
            toUnixTimestamp64Milli(at), cleared_ms, 0)
        FROM (SELECT * FROM (
            SELECT event_time AS at, toString(agent_id) AS host, event_id AS id,
                concat(title, if(description = '', '', ' '), description, if(data = '', '', ' '), {_TEXT}) AS text,
                toString(type) AS kind, seq, is_alert, 0 AS cleared_ms
            FROM events WHERE {IN_RANGE}
            UNION ALL
            SELECT assumeNotNull(fired_at), labels['agent'], alert_id, concat(rule, ': ', fired_reason), 'Alert', 0, true,
                if(isNull(resolved_at), 0, toUnixTimestamp64Milli(assumeNotNull(resolved_at)))
            FROM alerts_current
            WHERE mlapp_id = %(mlapp_id)s AND rule_type != 'component' AND fired_at >= {START} AND fired_at < {END}
        ) ORDER BY at)
        {SPILL}
    """  # noqa: S608 - as above
    (table,) = (each for each in CAPTURE_TABLES if each.name == "events")
    rows = block_rows(settings, table, chosen)
    yield from blocks(settings, query, chosen.parameters, as_bytes=True, rows=rows)


def aggregates_by_day(settings: Settings, chosen: CaptureRange) -> list[dict[str, Any]]:
    """What an MLApp did on each day of the range: ``day_ms`` and counts, by day."""
    day = "toUnixTimestamp64Milli(toStartOfInterval(event_time, INTERVAL 86400000 MILLISECOND)) AS day_ms"
    return records(
        settings,
        f"""
        SELECT day_ms, sum(predicted) AS predictions, sum(sampled) AS samples, sum(announced) AS models_produced,
            sum(activated) AS models_updated, sum(data) AS data_alerts, sum(health) AS health_alerts
        FROM (
            SELECT {day}, sumIf(value, name = 'pipelinestat.count' AND isFinite(value)) AS predicted, count() AS sampled,
                0 AS announced, 0 AS activated, 0 AS data, 0 AS health
            FROM statistics WHERE {IN_RANGE} GROUP BY day_ms
            UNION ALL
            SELECT {day}, 0, 0, count(), 0, 0, 0 FROM models WHERE {IN_RANGE} GROUP BY day_ms
            UNION ALL
            SELECT {day}, 0, 0, 0, count(), 0, 0 FROM deployment_transitions WHERE {IN_RANGE} AND state = 'active' GROUP BY day_ms
            UNION ALL
            SELECT {day}, 0, 0, 0, 0, countIf(NOT is_health), countIf(is_health)
            FROM (SELECT *, rule_type IN ('health', 'canary') OR rule ILIKE '%%health%%' AS is_health FROM alert_transitions)
            WHERE {IN_RANGE} AND state = 'firing' GROUP BY day_ms
        )
        GROUP BY day_ms ORDER BY day_ms
        """,  # noqa: S608 - as above
        chosen.parameters,
    )


def pipeline_instances(settings: Settings, chosen: CaptureRange) -> list[dict[str, Any]]:
    """Pipeline instances that reported in the range, with their nodes: ``node_id, pipeline_instance_id``."""
    return records(
        settings,
        f"""
        SELECT DISTINCT node_id, {_NODE} AS pipeline_instance_id FROM (
            SELECT node_id, pipeline_instance_id FROM statistics WHERE {IN_RANGE}
            UNION DISTINCT
            SELECT node_id, pipeline_instance_id FROM structured_statistics WHERE {IN_RANGE}
        )
        WHERE node_id != '' ORDER BY node_id, pipeline_instance_id
        """,  # noqa: S608 - as above
        chosen.parameters,
    )
