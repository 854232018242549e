"""Whatever is passed: the call works, or raises an MLOpsException. In stand-alone mode and where reports are typed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import tarfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parallelm.mlops import MLOps, StatCategory, Versions, mlops
from parallelm.mlops._session.event_time import parse_time_ns
from parallelm.mlops.common.string_ops import mask_passwords
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.mlops_exception import MLOpsException, SuppressException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.packer import DirectoryPack
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JANUARY_NS = 1_356_998_400_000_000_000

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70).map(lambda power: power**3)
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.sampled_from(
        [object(), int, np.float32(1.5), np.int64(3), np.bool_(True), np.array([1.0, 2.0]), Path("/x")]
    )
    | st.sampled_from(
        [StatCategory.TIME_SERIES, EventType.Data, ModelFormat.TEXT, "second", "nanosecond", "\ud800"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def library() -> Iterator[MLOps]:
    """Stand-alone, printing to nowhere."""
    found = MLOps()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PM_MLOPS_FILE", os.devnull)
        patch.delenv("PM_MLOPS_MODE", raising=False)
        found.init()
    yield found
    found.done()


CALLS: dict[str, Callable[..., Any]] = {
    "set_stat": lambda library, a, b, c, d: library.set_stat(a, b, c, d),
    "set_stat with options": lambda library, a, b, c, d: library.set_stat(a, b, units=c, timestamp=d),
    "set_kpi": lambda library, a, b, c, d: library.set_kpi(a, b, c, d),
    "labels": lambda library, a, b, c, d: library.set_kpi("k", 1, labels={str(a): b}, timestamp=c, units=d),
    "no labels": lambda library, a, *_: library.set_kpi("k", 1, labels=a),
    "set_event": lambda library, a, b, c, d: library.set_event(a, b, c, timestamp=d),
    "data_alert": lambda library, a, b, c, _: library.data_alert(a, b, c),
    "canary_alert": lambda library, a, b, c, d: library.canary_alert(a, b, c, d),
    "Event": lambda _, a, b, c, d: Event(a, b, c, d),
    "Model": lambda library, a, b, c, d: library.Model(a, b, c, d),
    "annotations": lambda library, a, *_: library.Model("m", ModelFormat.TEXT).set_annotations(a),
    "model_path": lambda library, a, *_: library.Model("m", ModelFormat.TEXT).set_model_path(a),
    "publish_model": lambda library, a, *_: library.publish_model(a),
    "feature_importance": lambda library, a, b, c, d: library.Model("m", ModelFormat.TEXT).feature_importance(
        a, b, num_significant_features=c, df=d
    ),
    "event_time": lambda library, a, b, *_: library.event_time(a, b).__enter__(),
    "distribution": lambda library, a, *_: library.set_data_distribution_stat(a),
    "series": lambda library, a, b, *_: library.series(a).set(b),
    "from_str": lambda _, a, *__: (ModelFormat.from_str(a), MLOpsMode.from_str(a)),
}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=ANYTHING, b=ANYTHING, c=ANYTHING, d=ANYTHING)
def test_nothing_but_an_mlops_exception_comes_out(
    library: MLOps, name: str, a: Any, b: Any, c: Any, d: Any
) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(MLOpsException):
            CALLS[name](library, a, b, c, d)
        with capture(), contextlib.suppress(MLOpsException):
            CALLS[name](mlops, a, b, c, d)


@given(st.integers() | st.floats() | st.booleans())
@settings(deadline=None)
def test_a_number_arrives_as_its_float64(value: float) -> None:
    import warnings

    with capture() as reported, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            mlops.set_stat("x", value)
        except MLOpsException:
            assert isinstance(value, int)
            with pytest.raises(OverflowError):
                float(value)
            return
    (arrived,) = reported.values("x")
    assert arrived == float(value) or (math.isnan(arrived) and math.isnan(value))


@pytest.mark.parametrize("bad", ["1", None, 1j, {"a": 1}, [1], b"1", object(), np.array([1.0])])
def test_what_is_no_number_is_refused_by_the_name_of_its_type(library: MLOps, bad: object) -> None:
    with pytest.raises(MLOpsException, match=re.escape(type(bad).__name__)):
        library.set_stat("x", bad)


@pytest.mark.parametrize("category", [StatCategory.GENERAL, StatCategory.INPUT, "TIME_SERIES", None])
def test_other_categories_are_refused(library: MLOps, category: Any) -> None:
    with pytest.raises(MLOpsException, match="category"):
        library.set_stat("x", 1.0, category)


@pytest.mark.parametrize(
    ("timestamp", "units"),
    [
        (datetime(2013, 1, 1), None),  # noqa: DTZ001 - a naive one is UTC
        (datetime(2013, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), None),
        ("2013-01-01", None),
        ("2013-01-01T00:00:00Z", None),
        (pd.Timestamp("2013-01-01"), None),
        (np.datetime64("2013-01-01T00:00:00.000000000"), None),
        (1_356_998_400, "second"),
        (1_356_998_400.0, "second"),
        (np.int64(1_356_998_400_000), "millisecond"),
        (JANUARY_NS, None),
        (float(JANUARY_NS), "nanosecond"),
        ("1356998400", "second"),
        ("1356998400.0\n", "second"),
        ("1356998400000", "millisecond"),
        (str(JANUARY_NS), None),
        ("20130101", None),
        ("2013-01-01", "second"),
    ],
)
def test_every_way_to_say_a_time(timestamp: Any, units: str | None) -> None:
    assert parse_time_ns(timestamp, units) == JANUARY_NS


@given(st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2299, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_datetime_keeps_its_microseconds(moment: datetime) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_time_ns(moment) == (moment - epoch) // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    "bad",
    [
        "yesterday",
        "",
        "nan",
        "1e400",
        "1" * 5000,
        float("nan"),
        float("inf"),
        10**30,
        -(10**19),
        True,
        None,
        [1],
        pd.NaT,
    ],
)
def test_what_is_no_time_is_refused(bad: Any) -> None:
    with pytest.raises(MLOpsException):
        parse_time_ns(bad)


@pytest.mark.parametrize("number", [1_356_998_400, "1356998400"])
def test_a_number_alone_is_no_event_time(library: MLOps, number: Any) -> None:
    with pytest.raises(MLOpsException, match="units"), library.event_time(number):
        pass
    with library.event_time(1_356_998_400, "second"):
        pass


@pytest.mark.parametrize("version", [None, *Versions.SUPPORTED])
def test_supported_versions_open(version: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PM_MLOPS_MODE", raising=False)
    found = MLOps()
    found.init(version=version)
    found.done()


@pytest.mark.parametrize(
    "options", [{"version": "0.0.9"}, {"version": "9"}, {"connect_mlops": True}, {"mlops_mode": "x"}]
)
def test_what_init_refuses_leaves_the_library_closed(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PM_MLOPS_MODE", raising=False)
    found = MLOps()
    with pytest.raises(MLOpsException):
        found.init(**options)
    assert not found.init_called


def test_passwords_are_masked() -> None:
    assert mask_passwords('{"password": "123\\"qwe"}') == '{"password": "*****"}'
    name = "DB_Password"
    given = {"user": "a", name: 'b"c', "more": {"api_token": "c", "list": [{"passwd": 1}]}}
    masked = mask_passwords(given)
    assert json.loads(masked) == {
        "user": "a",
        name: "*****",
        "more": {"api_token": "*****", "list": [{"passwd": "*****"}]},
    }
    assert given[name] == 'b"c'
    masked = mask_passwords("user=a password=hunter2, 'token': 'abc'; PASSWD=\"x y\" end")
    assert masked == "user=a password=*****, 'token': '*****'; PASSWD=\"*****\" end"


def test_a_directory_is_packed_and_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a").write_bytes(b"\x00\xff")
    packer = DirectoryPack(temp_folder=tmp_path)
    archive = packer.pack(folder)
    assert Path(archive).parent == tmp_path
    packer.unpack(archive, tmp_path / "again")
    assert (tmp_path / "again" / "model" / "inner" / "a").read_bytes() == b"\x00\xff"
    with pytest.raises(MLOpsException):
        packer.pack(folder / "inner" / "a")
    with pytest.raises(MLOpsException):
        packer.unpack(folder / "inner" / "a", tmp_path / "never")


@pytest.mark.parametrize("kind", ["parent", "absolute link", "device"])
def test_archives_that_leave_their_place_are_refused(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "hostile.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../outside" if kind == "parent" else "inside")
        if kind == "absolute link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        if kind == "device":
            member.type = tarfile.CHRTYPE
        tar.addfile(member)
    with pytest.raises(MLOpsException, match="refused"):
        DirectoryPack().unpack(archive, tmp_path / "place")
    assert not (tmp_path / "outside").exists()
    assert not any((tmp_path / "place").iterdir())


def test_the_decorator_suppresses_when_told_to() -> None:
    seen: list[BaseException] = []

    class Guarded:
        @SuppressException([ValueError], seen.append)
        def call(self, error: type[Exception]) -> str:
            raise error

    SuppressException.set_suppress(True)
    try:
        assert Guarded().call(ValueError) is None
        with pytest.raises(KeyError):
            Guarded().call(KeyError)
    finally:
        SuppressException.set_suppress(False)
    with pytest.raises(KeyError):
        Guarded().call(KeyError)
    assert len(seen) == 1


def test_publish_model_says_what_is_wrong(library: MLOps, tmp_path: Path) -> None:
    model = library.Model("m", ModelFormat.TEXT)
    with pytest.raises(MLOpsException, match="set_model_path"):
        library.publish_model(model)
    model.set_model_path(tmp_path)
    with pytest.raises(MLOpsException, match="must be a file"):
        library.publish_model(model)
    folder_model = library.Model("m", "savedmodel")
    (tmp_path / "file").write_text("x")
    folder_model.set_model_path(tmp_path / "file")
    with pytest.raises(MLOpsException, match="must be a directory"):
        library.publish_model(folder_model)
    with pytest.raises(MLOpsException, match="format"):
        library.Model("m")


def test_feature_importance_is_sorted_and_cut() -> None:
    with capture() as reported:
        model = mlops.Model("m", ModelFormat.TEXT)
        model.feature_importance([0.1, 0.7, 0.2], ["a", "b", "c"], num_significant_features=2)
        model.feature_importance(np.array([0.1, 0.9]), df=pd.DataFrame({"a": [1], "b": [2]}))
        for arguments in ({}, {"feature_names": ["a"]}, {"feature_importance_vector": [1.0]}):
            with pytest.raises(MLOpsException):
                model.feature_importance(**arguments)  # type: ignore[arg-type]
    assert [one.data for one in reported.structured] == [
        b'{"Feature Importance": [{"b": 0.7}, {"c": 0.2}]}',
        b'{"Feature Importance": [{"b": 0.9}, {"a": 0.1}]}',
    ]
    assert {one.model_id for one in reported.structured} == {model.get_id()}
