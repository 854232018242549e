"""A capture imported elsewhere: the same answers, nobody told, nothing deployed, and a second time nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from pyarrow import parquet

from parallelm.connections import save_settings
from parallelm.connections.kafka import client_config
from parallelm.definitions import DefinitionTopic
from parallelm.mcenter.cli import cli
from parallelm.operations.authors import Author
from parallelm.operations.backup.topics import save_topic
from parallelm.operations.captures import (
    CaptureRequest,
    download_capture,
    import_capture,
    make_capture,
    new_capture,
)
from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.operations.errors import CaptureError
from parallelm.operations.lag import group_lags
from parallelm.schemas import topics
from parallelm.schemas.captures import CaptureArchive, names
from parallelm.schemas.dead_letters import concerns, sent_again_for
from parallelm.schemas.errors import CaptureFileError
from parallelm.schemas.topic_admin import connect, log_bounds
from parallelm.schemas.well_known import PROCESSORS_GROUP, UNVERIFIED_LOCAL_USER
from tests.operations.captures.installations import COUNTED, installation
from tests.operations.captures.test_making import request
from tests.people import person
from tests.producers.time_capture.captures import whole_capture, write_tar
from tests.sinks import samples
from tests.stream_processors.live import Cluster, Worker
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce
    from tests.sinks.conftest import Platform

RULE = "{name: late, type: threshold, statistic: share, above: 0.5}"
ADA = Author("ada", UNVERIFIED_LOCAL_USER)
_LINEAGE = ("ingested_at", "_topic", "_topic_id", "_partition", "_offset", "_series", "_index")
_ORDER = {
    "mlapps": "version",
    "models": "model_id",
    "alert_transitions": "transition_id",
    "deployment_transitions": "transition_id",
}


@pytest.fixture(scope="module")
def file(source: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = make_capture(source.settings, new_capture(source.settings, request()))
    return download_capture(source.settings, record.capture_id, tmp_path_factory.mktemp("file"))


@pytest.fixture(scope="module")
def target(
    stack: Settings, made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Another installation, with nothing in it."""
    with installation(stack, made_once, tmp_path_factory.mktemp("target")) as made:
        yield made


def rows(platform: Platform, table: str, mlapp_id: str) -> list[tuple[Any, ...]]:
    """Rows of an MLApp without their lineage and what names the MLApp."""
    left_out = ", ".join((*_LINEAGE, "mlapp_id", "cause_topic", "cause_partition", "cause_offset"))
    columns = [
        f"toString(`{name}`)"
        for (name, *_) in platform.rows(f"DESCRIBE TABLE {table}")
        if name not in left_out.split(", ")
    ]
    return sorted(platform.rows(f"SELECT {', '.join(columns)} FROM {table} WHERE mlapp_id = '{mlapp_id}'"))


def offsets(settings: Settings) -> dict[tuple[str, int], int]:
    admin, metadata = connect(settings, 30.0)
    prefix = settings.kafka.topic_prefix
    places = [
        (name, partition)
        for name, topic in metadata.topics.items()
        if name.startswith(prefix)
        for partition in topic.partitions
    ]
    return {place: end for place, (_, end) in log_bounds(admin, places, 30.0).items()}


def test_the_history_is_the_same_elsewhere(source: Platform, target: Platform, file: Path, tmp_path: Path):
    config = tmp_path / "mcenter.toml"
    save_settings(target.settings, config)
    command = ["captures", "import", str(file), "--who", "ada"]
    said = CliRunner().invoke(cli, command, env={"MCENTER_CONFIG": str(config)})
    assert said.exit_code == 0, said.output
    assert "as MLApp 'app': " in said.output
    assert "0 rows known before" in said.output
    for table, count in COUNTED.items():
        if table == "agents":
            continue
        found = rows(target, table, "app")
        assert len(found) == count + (table == "actions"), table
        if table not in {"mlapps", "models", "alert_transitions", "deployment_transitions", "actions"}:
            whole = set(rows(source, table, "app"))
            assert set(found) <= whole, table
    assert target.rows(
        "SELECT action, who, parameters['name'] FROM actions WHERE action = 'import_capture'"
    ) == [("import_capture", "ada", "the june")]
    with CaptureArchive(file) as archive:
        assert archive.manifest is not None
        origin = archive.manifest.capture_id
    assert target.rows(
        "SELECT who, authenticated_by, imported_from, parameters FROM actions WHERE action = 'approve'"
    ) == [("someone", "imported", origin, {"authenticated_by": "unverified_local_user", "k": "v"})]
    for question in (
        "SELECT model_id, state, live_from, live_to FROM deployments_current WHERE model_id = 'm-0'",
        "SELECT alert_id, state, fired_at, resolved_at FROM alerts_current WHERE alert_id = 'a-1'",
        "SELECT name, labels, value, revisions FROM kpis_current WHERE event_time < '2013-06-02' ORDER BY name, labels",
        "SELECT name, sum(samples) FROM statistics_by_day WHERE name = 'latency' GROUP BY name",
        "SELECT prediction_id, value, features, actual FROM outcomes ORDER BY prediction_id",
    ):
        assert target.rows(question) == source.rows(question), question


def test_a_decision_leads_to_the_record_that_caused_it(source: Platform, target: Platform, file: Path):
    import_capture(target.settings, file, who=ADA, mlapp_id="copy")
    cause = "cause_topic, cause_partition, cause_offset"
    ((topic, partition, offset),) = target.rows(
        f"SELECT DISTINCT {cause} FROM deployment_transitions WHERE mlapp_id = 'copy'"
    )
    assert topic.startswith("capture "), "the samples name a record that no capture holds"
    assert topic.endswith(": mlops.models")
    assert (partition, offset) == (3, 17)
    # One whose cause is captured.
    ((_, partition, offset),) = source.rows(
        "SELECT _topic, _partition, _offset FROM models WHERE model_id = 'm-1' AND mlapp_id = 'app'"
    )
    changed = _with_cause(file, source.settings.kafka.topic_prefix, partition, offset)
    import_capture(target.settings, changed, who=ADA, mlapp_id="caused")
    assert target.rows(
        "SELECT count() FROM deployment_transitions JOIN models ON models.mlapp_id = deployment_transitions.mlapp_id AND models._topic = cause_topic"
        " AND models._partition = cause_partition AND models._offset = cause_offset"
        " WHERE deployment_transitions.mlapp_id = 'caused' AND models.model_id = 'm-1'"
    ) == [(4,)]


def _with_cause(file: Path, prefix: str, partition: int, offset: int) -> Path:
    """The capture with a record of its own as the cause of all deployments."""
    name = names.table_member("deployment_transitions")

    def change(table: pa.Table) -> pa.Table:
        count = table.num_rows
        for column, value in (
            ("cause_topic", f"{prefix}models"),
            ("cause_partition", partition),
            ("cause_offset", offset),
        ):
            index = table.schema.get_field_index(column)
            table = table.set_column(
                index, column, pa.array([value] * count, table.schema.field(column).type)
            )
        return table

    return forged(file, file.with_name("caused.tar"), name, change)


def forged(file: Path, target: Path, name: str, change: Any) -> Path:
    """A capture with one table changed, whose manifest is right."""
    with tarfile.open(file) as tar:
        members = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    out = io.BytesIO()
    parquet.write_table(change(parquet.read_table(io.BytesIO(members[name]))), out)
    members[name] = out.getvalue()
    with CaptureArchive(file) as archive:
        manifest = archive.manifest
    assert manifest is not None
    listed = tuple(
        dataclasses.replace(
            each,
            size_bytes=len(members[each.name]),
            sha256=hashlib.sha256(members[each.name]).hexdigest(),
        )
        for each in manifest.members
    )
    members[names.MANIFEST] = dataclasses.replace(manifest, members=listed).to_json().encode()
    with tarfile.open(target, "w") as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target


def test_importing_twice_adds_nothing(target: Platform, file: Path):
    first = import_capture(target.settings, file, who=ADA, mlapp_id="twice")
    assert first.behind == 0
    assert (first.known_rows, first.records["statistics"]) == (0, 2)
    tables = [table for table in COUNTED if table != "agents"]
    stored = {table: rows(target, table, "twice") for table in tables}
    ends = offsets(target.settings)
    second = import_capture(target.settings, file, who=ADA, mlapp_id="twice")
    assert sum(second.records.values()) == 0
    assert second.known_rows == sum(
        count for table, count in COUNTED.items() if table not in {"agents", "histograms"}
    )
    assert {table: rows(target, table, "twice") for table in tables} == stored
    assert offsets(target.settings) == ends, "nothing was sent, not even an action"


def test_a_part_that_is_there_is_not_sent_again(source: Platform, target: Platform, file: Path):
    # A shorter capture first, whose edge goes through a record; then the whole one.
    short = CaptureRequest(mlapp_id="app", start="2013-05-31", end="2013-05-31T11:33:21", who=person("ada"))
    record = make_capture(source.settings, new_capture(source.settings, short))
    begun = import_capture(
        target.settings,
        download_capture(source.settings, record.capture_id, file.parent),
        who=ADA,
        mlapp_id="parts",
    )
    assert begun.records["statistics"] == 2
    assert target.rows("SELECT count() FROM statistics WHERE mlapp_id = 'parts'") == [(5,)]
    import_capture(target.settings, file, who=ADA, mlapp_id="parts")
    for table in COUNTED:
        if table not in {"agents", "actions"}:
            assert len(rows(target, table, "parts")) == COUNTED[table], table


def test_an_import_that_was_cut_off_goes_on(target: Platform, file: Path):
    class CutOffError(Exception):
        pass

    def cut_off(_share: float, table: str) -> None:
        if table == "structured_statistics":
            raise CutOffError

    with pytest.raises(CutOffError):
        import_capture(target.settings, file, who=ADA, mlapp_id="cut", on_progress=cut_off)
    target.wait(
        "SELECT count() FROM structured_statistics WHERE mlapp_id = 'cut'", COUNTED["structured_statistics"]
    )
    assert rows(target, "deployment_transitions", "cut") == []
    done = import_capture(target.settings, file, who=ADA, mlapp_id="cut")
    assert (done.records["kpis"], done.records["structured_statistics"]) == (0, 0)
    for table, count in COUNTED.items():
        if table not in {"agents", "actions"}:
            assert len(rows(target, table, "cut")) == count, table


def test_nobody_but_the_sinks_is_to_handle_what_is_imported(target: Platform, file: Path, tmp_path: Path):
    import_capture(target.settings, file, who=ADA, mlapp_id="quiet")
    from confluent_kafka import Consumer, TopicPartition

    from parallelm.schemas.topic_reader import read_to_end, reader_config

    prefix = target.settings.kafka.topic_prefix
    consumer = Consumer(reader_config(target.settings.kafka, "test", isolation_level="read_committed"))
    ends = {place: end for place, end in offsets(target.settings).items() if end}
    consumer.assign([TopicPartition(*place, 0) for place in ends])
    messages = [each for each in read_to_end(consumer, ends, 30.0) if each.value() is not None]
    consumer.close()
    assert len(messages) > 20
    for message in messages:
        assert not concerns(message.headers(), f"{prefix}processors")
        assert not concerns(message.headers(), f"{prefix}notifier")
        assert concerns(message.headers(), f"{prefix}sink")
    with DefinitionTopic(target.settings) as topic:
        assert dict(topic.catch_up()) == {}, "it is history, and in force nowhere"
    assert save_topic(target.settings, topics.MLAPPS, tmp_path / "mlapps.avro") == 0, "nor after a restore"


def test_running_processors_raise_nothing_and_deploy_nothing(
    stack: Settings, made_once: MadeOnce, file: Path, tmp_path: Path
):
    with (
        installation(stack, made_once, tmp_path / "running") as running,
        Worker(running.settings, tmp_path / "worker") as worker,
    ):
        import_capture(running.settings, file, who=ADA)
        cluster = Cluster(running.settings, mlapp="live")
        cluster.apply("mlapp: app\nnodes: [{id: predict, type: model_consumer}]\nalerts: [" + RULE + "]\n")
        cluster.statistic(1, "share", 0.9)  # what they judge shows that they have read all before it
        cluster.flush()
        wait_for(
            lambda: len(running.rows("SELECT 1 FROM alert_transitions WHERE mlapp_id = 'live'")) == 1,
            worker.log,
        )
        wait_for(lambda: not _behind(running.settings), worker.log)
        assert len(rows(running, "alert_transitions", "app")) == COUNTED["alert_transitions"]
        assert len(rows(running, "deployment_transitions", "app")) == COUNTED["deployment_transitions"]
        assert running.value("SELECT count() FROM dead_letters") == 0
        assert worker.terminate() == 0


def _behind(settings: Settings) -> int:
    """Records of control topics that the processors have not handled."""
    group = f"{settings.kafka.topic_prefix}{PROCESSORS_GROUP}"
    return sum(lag.records for lag in group_lags(settings) if lag.group == group)


def test_a_transaction_on_the_topic_of_definitions_holds_nobody_up(target: Platform):
    prefix = target.settings.kafka.topic_prefix
    name = topics.MLAPPS.full_name(prefix)
    sender = Producer(client_config(target.settings.kafka, transactional_id=f"{prefix}test"))
    sender.init_transactions(30.0)
    history = target.codec.encode(samples.definition(mlapp_id="old"))
    with DefinitionTopic(target.settings, timeout_s=5.0) as topic:
        topic.catch_up()
        for end in (sender.commit_transaction, sender.abort_transaction):
            sender.begin_transaction()
            sender.produce(name, history, b"old/capture", 0, headers=sent_again_for(f"{prefix}sink"))
            sender.flush()
            assert "old" not in topic.catch_up(), "while it is open"
            end()
            for mlapp_id in ("held", "up"):  # on the marker, and on what comes after it
                target.send(topics.MLAPPS, samples.definition(mlapp_id=mlapp_id), key=mlapp_id, partition=0)
                assert mlapp_id in topic.catch_up()
                assert "old" not in topic.catch_up()
    for mlapp_id in ("held", "up"):
        target.send(topics.MLAPPS, None, key=mlapp_id, partition=0)


def test_a_defined_mlapp_keeps_its_history(target: Platform, file: Path):
    definition = validate_definition(b"mlapp: mine\nnodes: [{id: train, type: auxiliary}]\n", "mine.yaml")
    apply_definition(target.settings, definition, who=person("ada"))
    with pytest.raises(
        CaptureError, match=r"MLApp 'mine' is defined here, and its history is its own: .* --mlapp"
    ):
        import_capture(target.settings, file, who=ADA, mlapp_id="mine")


def test_what_cannot_be_imported_is_refused(target: Platform, file: Path, tmp_path: Path):
    original = write_tar(tmp_path / "original.tar", whole_capture())
    with pytest.raises(CaptureError, match="is a capture of the original platform: it has no tables"):
        import_capture(target.settings, original, who=ADA)
    data = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        data[tar.getmember(names.table_member("events")).offset_data + 100] ^= 1
    (tmp_path / "changed.tar").write_bytes(data)
    with pytest.raises(CaptureFileError, match=r"events.parquet': it was changed after"):
        import_capture(target.settings, tmp_path / "changed.tar", who=ADA)
    for mlapp_id in ("*", "hosts", "a/b", "../app", "a" * 201, "-"):
        with pytest.raises(CaptureError, match="no MLApp can have this id"):
            import_capture(target.settings, file, who=ADA, mlapp_id=mlapp_id)
    name = names.table_member("events")
    fewer = forged(file, tmp_path / "fewer.tar", name, lambda table: table.slice(1))
    with pytest.raises(
        CaptureError, match=r"events.parquet' cannot be read: .*it has 1 rows, the manifest says 2"
    ):
        import_capture(target.settings, fewer, who=ADA, mlapp_id="bad")
    other = forged(file, tmp_path / "other.tar", name, lambda table: table.drop_columns(["event_id"]))
    with pytest.raises(
        CaptureError, match=r"events.parquet' has a row that cannot be a record: no column 'event_id'"
    ):
        import_capture(target.settings, other, who=ADA, mlapp_id="bad")


def test_a_removed_mlapp_does_not_come_back(target: Platform, file: Path):
    def removed(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index("is_deleted")
        return table.set_column(index, "is_deleted", pa.array([True] * table.num_rows))

    changed = forged(file, file.with_name("removed.tar"), names.table_member("mlapps"), removed)
    done = import_capture(target.settings, changed, who=ADA, mlapp_id="removed")
    assert done.records["mlapps"] == 0
    assert target.value("SELECT count() FROM mlapps WHERE mlapp_id = 'removed'") == 0
    assert (
        target.value("SELECT count() FROM deployment_transitions WHERE mlapp_id = 'removed'")
        == COUNTED["deployment_transitions"]
    )


def test_sinks_that_are_behind_are_waited_for(stack: Settings, made_once: MadeOnce, file: Path):
    from tests.sinks.conftest import Platform as Other

    with made_once.lent(stack) as settings:
        other = Other(settings)
        other.send(topics.EVENTS, samples.event())
        with pytest.raises(CaptureError, match=r"the sinks are 1 records behind, .* Nothing was sent"):
            import_capture(settings, file, who=ADA, stored_timeout_s=0.2)
        other.client.disconnect()
