"""Models: their identity, their metadata, what may be published, and what is reported through them."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat, ModelMetadata
from parallelm.mlops.stats.table import Table
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.mlops import MLOps


def test_a_model_is_its_id(library: MLOps) -> None:
    model, other = (library.Model("m", ModelFormat.TEXT, "d") for _ in range(2))
    assert model.get_id() != other.get_id()
    assert model != other
    other.metadata.modelId = model.get_id()
    assert model == other
    assert model.get_model_path() is None
    assert model.get_annotations() == {}
    model.set_annotations({"a": [1, "b"]})
    assert model.get_annotations() == {"a": [1, "b"]}
    with pytest.raises(MLOpsException):
        library.Model("m")


def test_what_is_known_of_a_model_stands_under_the_names_of_the_columns() -> None:
    known = ModelMetadata("m1", "m", ModelFormat.PMML, description="d")
    assert (known.modelId, known.name, known.model_format, known.description) == (
        "m1",
        "m",
        ModelFormat.PMML,
        "d",
    )
    for name in [
        "annotations",
        "size",
        "owner",
        "train_version",
        "model_version",
        "active",
        "created_on",
        "flag_values",
    ]:
        assert hasattr(known, name)
    assert list(known.to_dict()) == [
        "id",
        "name",
        "format",
        "modelVersion",
        "trainVersion",
        "size",
        "owner",
        "createdOn",
        "flagValues",
        "annotations",
        "active",
        "description",
    ]


def test_the_size_of_a_model_is_known_with_its_path(library: MLOps, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"12345")
    model = library.Model("m", ModelFormat.BINARY)
    model.set_model_path(path=str(tmp_path / "m"))
    assert model.metadata.size == 5
    assert model.get_model_path() == str(tmp_path / "m")


@pytest.mark.parametrize("wanted", ModelFormat)
def test_a_format_is_a_file_or_a_directory(library: MLOps, tmp_path: Path, wanted: ModelFormat) -> None:
    if wanted is ModelFormat.UNKNOWN:
        return
    (tmp_path / "file").write_text("m")
    (tmp_path / "folder").mkdir()
    directories = {ModelFormat.SAVEDMODEL, ModelFormat.SPARKML, ModelFormat.MLFLOW}
    right, wrong = ("folder", "file") if wanted in directories else ("file", "folder")
    for bad in (wrong, "nothing"):
        model = library.Model("m", wanted)
        model.set_model_path(tmp_path / bad)
        with pytest.raises(MLOpsException):
            library.publish_model(model)
    model = library.Model("m", wanted)
    model.set_model_path(tmp_path / right)
    assert library.publish_model(model) == model.get_id()


def test_what_is_published_stand_alone_is_gone_after_done(
    library: MLOps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    (tmp_path / "m").write_text("m")
    model = library.Model("m", ModelFormat.TEXT)
    model.set_model_path(tmp_path / "m")
    library.publish_model(model)
    assert list((tmp_path / "system").iterdir())
    library.done()
    assert not list((tmp_path / "system").iterdir())


def test_everything_that_is_reported_through_a_model_carries_its_id() -> None:
    np = pytest.importorskip("numpy")
    with capture() as reported:
        model = mlops.Model("m", ModelFormat.TEXT)
        model.set_stat("x", 1.0)
        model.set_stat(Table().name("t").cols(["a"]).add_row([1]))
        model.set_kpi("k", 2.0)
        model.set_data_distribution_stat(np.array([[1.0, 2.0], [3.0, 4.0]]))
        model.feature_importance([0.1, 0.2], ["a", "b"])
    ids = {sample.model_id for sample in reported.samples} | {point.model_id for point in reported.kpis}
    ids |= {structured.model_id for structured in reported.structured}
    assert ids == {model.get_id()}
    assert len(reported.structured) == 4


class _Fitted:
    feature_importances_ = (0.2, 0.9, 0.1)


class _Frame:
    columns = ("a", "b", "c")


@pytest.mark.parametrize(
    ("arguments", "bars"),
    [
        (
            {"feature_importance_vector": [3, 1, 2], "feature_names": ["a", "b", "c"]},
            {"a": 3, "c": 2, "b": 1},
        ),
        ({"model": _Fitted(), "df": _Frame()}, {"b": 0.9, "a": 0.2, "c": 0.1}),
        ({"model": _Fitted, "feature_names": ["x", "y", "z"], "num_significant_features": 1}, {"y": 0.9}),
        (
            {"feature_importance_vector": list(range(10)), "feature_names": list("abcdefghij")},
            dict(zip("jihgfedc", range(9, 1, -1), strict=True)),
        ),
    ],
)
def test_the_most_significant_features_become_bars(arguments: dict[str, Any], bars: dict[str, float]) -> None:
    with capture() as reported:
        mlops.Model("m", ModelFormat.TEXT).feature_importance(**arguments)
    (graph,) = reported.structured
    assert (graph.name, graph.graph_type) == ("Feature Importance", "BARGRAPH")
    (found,) = json.loads(graph.data).values()
    assert [(name, height) for bar in found for name, height in bar.items()] == list(bars.items())


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"feature_importance_vector": [1]},
        {"feature_names": ["a"]},
        {"model": _Fitted()},
        {"feature_importance_vector": [1, 2], "feature_names": ["a"]},
        {"model": object(), "feature_names": ["a"]},
    ],
)
def test_importances_without_names_or_numbers_are_refused(library: MLOps, arguments: dict[str, Any]) -> None:
    with pytest.raises(MLOpsException):
        library.Model("m", ModelFormat.TEXT).feature_importance(**arguments)
