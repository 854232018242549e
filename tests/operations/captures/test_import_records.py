"""A record that became rows, and rows that became a record again, are the same."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from parallelm.operations.captures.contents.parquet import arrow_column, arrow_type
from parallelm.operations.captures.importing.reading import rows_by_record
from parallelm.operations.captures.importing.records import (
    actuals,
    kpi_batch,
    predictions,
    record_of,
    statistics_batch,
)
from parallelm.operations.captures.importing.tables import IMPORTED_TABLES
from parallelm.operations.errors import CaptureError
from parallelm.schemas import records
from parallelm.schemas.captures.manifest import CaptureManifest, ManifestMember
from parallelm.schemas.captures.names import table_member
from parallelm.schemas.conversion import to_avro
from parallelm.sinks.tables import TABLES
from tests.sinks.samples import T0_MS

if typing.TYPE_CHECKING:
    from pathlib import Path

    from parallelm.schemas.topics import Topic

_TEXT = st.text(max_size=12)
_NUMBER = st.floats(allow_nan=False)
_TIME = st.integers(-2_208_988_800_000, 10_413_791_999_999)


def values(hint: Any, name: str) -> st.SearchStrategy[Any]:
    """Values of a field."""
    if dataclasses.is_dataclass(hint):
        return instances(typing.cast("type", hint))
    if isinstance(hint, type) and issubclass(hint, str) and hint is not str:
        return st.sampled_from(list(hint))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is not None and issubclass(origin, typing.Mapping):
        return st.dictionaries(_TEXT, values(arguments[1], ""), max_size=3).map(
            lambda each: dict(sorted(each.items()))
        )
    if origin is not None:
        return st.lists(values(arguments[0], ""), max_size=3)
    if name.endswith(("time_ms", "_at_ms", "timestamp_ms")):
        return _TIME
    return {
        str: _TEXT,
        int: st.integers(-(2**31), 2**31 - 1),
        float: _NUMBER,
        bool: st.booleans(),
        bytes: st.binary(max_size=12),
    }[hint]


def instances(kind: type) -> st.SearchStrategy[Any]:
    """Records of a class."""
    hints = typing.get_type_hints(kind)
    return st.builds(
        kind, **{each.name: values(hints[each.name], each.name) for each in dataclasses.fields(kind)}
    )


def rows_of(topic: Topic, record: Any) -> list[dict[str, Any]]:
    """What the sink makes of a record, as a capture has it."""
    spec: Any = TABLES[topic.name]
    columns = spec.columns
    return [
        {name: getter(source) for name, getter in columns.getters.items()}
        | {"_topic": topic.name, "_partition": 0, "_offset": 0}
        for source in (spec.sources(record) if spec.sources is not None else [record])
    ]


@pytest.mark.parametrize(
    "name",
    ["models", "events", "actions", "structured_statistics", "alert_transitions", "deployment_transitions"],
)
@given(data=st.data())
def test_a_record_of_one_row_is_what_it_was(name: str, data: st.DataObject):
    (table,) = (each for each in IMPORTED_TABLES if each.name == name)
    record = data.draw(instances(table.topic.record))
    (row,) = rows_of(table.topic, record)
    assert to_avro(table.topic.record)(table.record([row])) == to_avro(table.topic.record)(record)


@given(record=instances(records.MLAppDefinition))
def test_a_definition_is_what_it_was_but_for_what_its_yaml_says(record: records.MLAppDefinition):
    (table,) = (each for each in IMPORTED_TABLES if each.name == "mlapps")
    (row,) = rows_of(table.topic, record)
    found = table.record([row])
    for field in ("mlapp_id", "version", "event_time_ms", "applied_by", "source_yaml", "name"):
        assert getattr(found, field) == getattr(record, field)
    assert [(node.node_id, list(node.parents)) for node in found.nodes] == [
        (node.node_id, list(node.parents)) for node in record.nodes
    ]
    assert [(rule.name, rule.for_ms, rule.parameters_json) for rule in found.rules] == [
        (rule.name, rule.for_ms, rule.parameters_json) for rule in record.rules
    ]
    again = rows_of(table.topic, found)[0]
    assert again == row, "its row is the same"


@given(
    points=st.lists(instances(records.KpiPoint), min_size=1, max_size=4),
    batch=instances(records.KpiBatch),
)
def test_points_are_what_they_were(points: list[records.KpiPoint], batch: records.KpiBatch):
    (table,) = (each for each in IMPORTED_TABLES if each.name == "kpis")
    whole = dataclasses.replace(batch, points=points)
    assert to_avro(records.KpiBatch)(kpi_batch(rows_of(table.topic, whole))) == to_avro(records.KpiBatch)(
        whole
    )


@given(ids=st.lists(_TEXT, min_size=1, max_size=4), is_class=st.booleans(), data=st.data())
def test_predictions_and_outcomes_are_what_they_were(ids: list[str], is_class: bool, data: st.DataObject):
    count = len(ids)

    def many(each: st.SearchStrategy[Any]) -> Any:
        return data.draw(st.lists(each, min_size=count, max_size=count))

    made = dataclasses.replace(
        data.draw(instances(records.Predictions)),
        kind="class" if is_class else "score",
        ids=ids,
        timestamps_ms=many(_TIME),
        values=[] if is_class else many(_NUMBER),
        classes=many(_TEXT) if is_class else [],
        features={"hour": many(st.sampled_from(["1", "2"])), "sky": many(st.sampled_from(["clear", "fog"]))},
    )
    (table,) = (each for each in IMPORTED_TABLES if each.name == "predictions")
    assert to_avro(records.Predictions)(predictions(rows_of(table.topic, made))) == to_avro(
        records.Predictions
    )(made)
    known = dataclasses.replace(
        data.draw(instances(records.Actuals)), ids=ids, timestamps_ms=many(_TIME), values=many(_TEXT)
    )
    (table,) = (each for each in IMPORTED_TABLES if each.name == "actuals")
    assert to_avro(records.Actuals)(actuals(rows_of(table.topic, known))) == to_avro(records.Actuals)(known)


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data())
def test_samples_are_what_they_were(sizes: list[int], data: st.DataObject):
    series = [
        dataclasses.replace(
            data.draw(instances(records.Series)),
            timestamps_ms=[float(T0_MS + number) for number in range(size)],
            values=data.draw(st.lists(_NUMBER, min_size=size, max_size=size)),
        )
        for size in sizes
    ]
    batch = dataclasses.replace(data.draw(instances(records.StatisticsBatch)), series=series)
    origin = dataclasses.asdict(batch.origin)
    rows = [
        origin
        | {"producer_id": batch.producer_id, "seq": batch.seq, "_series": number, "_index": index}
        | {name: getattr(each, name) for name in ("name", "model_id", "category", "graph_type", "labels")}
        | {"event_time": int(moment), "value": value}
        for number, each in enumerate(series)
        for index, (moment, value) in enumerate(zip(each.timestamps_ms, each.values, strict=True))
    ]
    assert to_avro(records.StatisticsBatch)(statistics_batch(rows)) == to_avro(records.StatisticsBatch)(batch)


@pytest.mark.parametrize(
    ("name", "kind", "given_values", "found"),
    [
        ("x", "LowCardinality(String)", ["a", "é"], ["a", "é"]),
        ("data", "String", ["a", b"\xff"], [b"a", b"\xff"]),
        ("x", "Map(LowCardinality(String), String)", [{"a": "b"}, {}], [[("a", "b")], []]),
        ("x", "Array(Array(Float64))", [[[1.0], []], []], [[[1.0], []], []]),
        ("x", "Nullable(Int64)", [None, -(2**63)], [None, -(2**63)]),
        ("x", "UInt64", [2**64 - 1], [2**64 - 1]),
        ("x", "Float64", [math.inf], [math.inf]),
    ],
)
def test_values_of_every_type_are_in_parquet_what_they_were(
    name: str, kind: str, given_values: Any, found: Any
):
    assert arrow_column(given_values, arrow_type(name, kind)).to_pylist() == found


def test_times_of_all_years_that_are_stored_are_in_parquet_what_they_were():
    moments = [-2_208_988_800_000, 0, 10_413_791_999_999]
    found = arrow_column(moments, arrow_type("event_time", "DateTime64(3, 'UTC')"))
    assert found.cast(pa.int64()).to_pylist() == moments


def test_what_a_capture_does_not_have_is_empty():
    row = {"mlapp_id": "app", "event_time": 1, "action_id": "a", "who": "ada", "action": "approve"}
    found = record_of(records.UserAction, row)
    assert (found.who, found.comment, found.parameters) == ("ada", "", {})


def stored(folder: Path, **columns: pa.Array) -> CaptureManifest:
    """A table of events in a capture's folder, and the manifest that tells of it."""
    name = table_member("events")
    table = pa.table(columns)
    (folder / name).parent.mkdir(parents=True)
    parquet.write_table(table, folder / name)
    size_bytes = (folder / name).stat().st_size
    member = ManifestMember(name=name, size_bytes=size_bytes, sha256="0" * 64, rows=table.num_rows)
    texts = dict.fromkeys(("capture_id", "name", "mlapp_id", "mlapp_name", "created_by", "topic_prefix"), "x")
    return CaptureManifest(**texts, start_ms=0, end_ms=1, known_at_ms=1, members=(member,))


def test_a_small_table_that_unpacks_to_a_huge_one_is_refused_before_it_does(tmp_path: Path):
    texts = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), 8192), ["x" * 100_000])
    manifest = stored(tmp_path, event_type=texts)
    assert manifest.members[0].size_bytes < 1_000_000
    with pytest.raises(
        CaptureError, match=r"events.parquet' cannot be read: .*8192 of its rows have 81\d+ bytes"
    ):
        list(rows_by_record(tmp_path, manifest, "events"))


def test_texts_of_a_table_are_read_as_they_were_written(tmp_path: Path):
    texts, place = ["a", None, "a", ""], [0, 0, 1, 2]
    columns = {
        "_topic": texts,
        "_partition": place,
        "_offset": place,
        "labels": pa.array(
            [[("k", "v")], None, [], [("k", "v"), ("l", "v")]], pa.map_(pa.string(), pa.string())
        ),
        "names": pa.array([["x", "x"], None, [], [None]], pa.list_(pa.string())),
    }
    manifest = stored(tmp_path, **{name: pa.array(values) for name, values in columns.items()})
    found = [row for rows in rows_by_record(tmp_path, manifest, "events") for row in rows]
    assert found == pa.table(columns).to_pylist()
