"""Lines of the contract: models, what is reported through them, and the distribution of data."""

from __future__ import annotations

import functools
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from parallelm.mlops import mlops
from parallelm.mlops.models.model import Model, ModelFormat, ModelMetadata
from parallelm.mlops.stats.table import Table
from tests.producers.contract.event_lines import event
from tests.producers.contract.line import REFUSED, Line, moment, scalar

DEPLOYED: Final = "deployed"
"""Name of the model that the tests deploy to the walking component before it asks."""
DEPLOYED_ID: Final = "a-model-of-the-walk"
WEIGHTS: Final = "weights"
DRIFT_OF_THE_SAME: Final = {
    "psi": 0.0,
    "js": 0.0,
    "p_value": 1.0,
    "ks": 0.0,
    "ks_p_value": 1.0,
    "missing_share": 0.0,
    "training_missing_share": 0.0,
    "missing_p_value": 1.0,
    "row_count": 30.0,
    "training_row_count": 30.0,
}
TRAINING: Final = np.arange(60.0).reshape(30, 2)
FRAME: Final = pd.DataFrame(
    {
        "object": ["a", "b", "a", None],
        "category": pd.Categorical(["x", "x", "y", "x"]),
        "nullable": pd.array([1, None, 1, 2], dtype="Int64"),
        "bool": [True, False, True, True],
        "constant": [0.5] * 4,
    }
)
DISTRIBUTION: Final = (
    "continuousDataHistogram, BARGRAPH, INSTANT, {'c0': [{'-inf to …",
    'Continuous Data Analysis, MATRIX, INSTANT, {"c0":{"Count":30, "Missing":"0.0%", "Zeros":1, …',
)


@functools.cache
def made() -> Model:
    """A model with a file, which is published by one line and deployed by the tests."""
    model = mlops.Model(DEPLOYED, ModelFormat.TEXT, "of the walk")
    model.metadata.modelId = DEPLOYED_ID
    Path("weights.txt").write_text(WEIGHTS)
    model.set_model_path("weights.txt")
    model.set_annotations({"trees": 7, "tags": ["a", "é"]})
    return model


def published(model_format: ModelFormat) -> bool:
    """Publish a model of a format, as a file or a directory; whether its id came back."""
    path = Path(f"model of {model_format.name}")
    if model_format.is_directory:
        path.mkdir()
        (path / "part").write_text(WEIGHTS)
    else:
        path.write_text(WEIGHTS)
    model = mlops.Model(model_format.name, model_format)
    model.set_model_path(path)
    return mlops.publish_model(model) == model.get_id()


def of_format(model_format: ModelFormat) -> Line:
    """A model of a format can be published; of the unknown one there is none."""
    known = model_format is not ModelFormat.UNKNOWN
    return Line(lambda: published(model_format), answers=True if known else REFUSED)


def importance(**arguments: Any) -> None:
    """Report feature importance through the model."""
    made().feature_importance(num_significant_features=2, **arguments)


def taken() -> str:
    """What the deployed model holds; stand-alone there is none, and a model that was made here is not downloaded."""
    (mlops.get_last_approved_model() or made()).download("taken.txt")
    return Path("taken.txt").read_text()


def name_of(model: Model | None) -> str | None:
    """Name of a model, which has another id in each run."""
    return model and model.metadata.name


def deployment_of(model: Model | None) -> list[str] | None:
    """What a component is told of the deployment of a model."""
    if model is None or model.deployment is None:
        return None
    told = model.deployment
    return [told.deployment_id, told.node_id, told.state, told.policy, told.reason, told.who]


class _Fitted:
    feature_importances_ = (0.2, 0.9, 0.1)


IMPORTANCE: Final = "Feature Importance, BARGRAPH, INSTANT, {'Feature Importance': [{'b': 0.9}, {'a': 0.2}]}"
MODELS: Final = {
    "MLOps.Model": Line(
        lambda: [
            mlops.Model("m", ModelFormat.TEXT, "d").metadata.to_dict()[key] for key in ("name", "format")
        ],
        answers=["m", "Text"],
    ),
    "MLOps.publish_model": Line(lambda: mlops.publish_model(made()) == made().get_id(), answers=True),
    "MLOps.publish_model of nothing": Line(
        lambda: mlops.publish_model(mlops.Model("m", ModelFormat.TEXT)), answers=REFUSED
    ),
    **{f"models.model.ModelFormat.{known.name}": of_format(known) for known in ModelFormat},
    "models.model.ModelFormat.from_str": Line(
        lambda: ModelFormat.from_str("sparkML").name, answers="SPARKML"
    ),
    "models.model.ModelFormat.is_directory": Line(
        lambda: [known.name for known in ModelFormat if known.is_directory],
        answers=["SAVEDMODEL", "SPARKML", "MLFLOW"],
    ),
    "models.model.ModelFormat.is_text": Line(
        lambda: [known.name for known in ModelFormat if known.is_text], answers=["JSON", "TEXT", "PMML"]
    ),
    "models.model.ModelMetadata.to_dict": Line(
        lambda: ModelMetadata("i", "m", ModelFormat.PMML, "d").to_dict()["format"], answers="Pmml"
    ),
    "models.model.Model.get_id": Line(lambda: made().get_id(), answers=DEPLOYED_ID),
    "models.model.Model.id": Line(lambda: made().id == made().get_id(), answers=True),
    "models.model.Model.set_model_path": Line(lambda: made().set_model_path("weights.txt")),
    "models.model.Model.get_model_path": Line(lambda: made().get_model_path(), answers="weights.txt"),
    "models.model.Model.set_annotations": Line(
        lambda: made().set_annotations({"trees": 7, "tags": ["a", "é"]})
    ),
    "models.model.Model.get_annotations": Line(
        lambda: made().get_annotations(), answers={"trees": 7, "tags": ["a", "é"]}
    ),
    "models.model.Model.set_stat": Line(lambda: made().set_stat("x", 0.5), scalar("x", 0.5)),
    "models.model.Model.set_stat of an object": Line(
        lambda: made().set_stat(Table().name("t").cols(["a"]).add_row([1])),
        't, MATRIX, INSTANT, {"":{"a":1}}',
    ),
    "models.model.Model.set_kpi": Line(lambda: made().set_kpi("k", 2, moment(1)), f"+1 s {scalar('k', 2)}"),
    "models.model.Model.set_data_distribution_stat": Line(
        lambda: made().set_data_distribution_stat(TRAINING), DISTRIBUTION
    ),
    "models.model.Model.feature_importance": Line(
        lambda: importance(feature_importance_vector=[0.2, 0.9, 0.1], feature_names=["a", "b", "c"]),
        IMPORTANCE,
    ),
    "models.model.Model.feature_importance of a fitted model": Line(
        lambda: importance(model=_Fitted(), df=pd.DataFrame(columns=["a", "b", "c"])), IMPORTANCE
    ),
    "models.model.Model.feature_importance of nothing": Line(importance, answers=REFUSED),
    "MLOps.set_data_distribution_stat of an array": Line(
        lambda: mlops.set_data_distribution_stat(TRAINING), DISTRIBUTION
    ),
    "MLOps.set_data_distribution_stat of one column": Line(
        lambda: mlops.set_data_distribution_stat(np.array([1.0, 2.0, 2.0, np.nan])),
        (
            "categoricalDataHistogram, BARGRAPH, INSTANT, {'c0': [{'1.0': 0.3333333333333333}, {'2.0': 0.6666666666666666}]}",
            (
                'Categorical Data Analysis, MATRIX, INSTANT, {"c0":{"Count":4, "Missing":"25.0%", "Uniques":2, '
                '"Top Frequently Occurring Category":"2.0", "Top Frequency":2, "Average String Length":3.0}}'
            ),
        ),
    ),
    "MLOps.set_data_distribution_stat of a frame": Line(
        lambda: mlops.set_data_distribution_stat(FRAME),
        (
            "categoricalDataHistogram, BARGRAPH, INSTANT, {'object': [{'a': 0.6666666666666666}, {'b': 0.3333333333333333}], …",
            'Categorical Data Analysis, MATRIX, INSTANT, {"object":{"Count":4, "Missing":"25.0%", "Uniques":2, …',
        ),
    ),
    "MLOps.set_data_distribution_stat of no rows": Line(
        lambda: mlops.set_data_distribution_stat(np.empty((0, 2)))
    ),
    "MLOps.set_data_distribution_stat of a text": Line(
        lambda: mlops.set_data_distribution_stat("c0"), answers=REFUSED
    ),
    # ---- when the model is deployed ---------------------------------------------------------------------------------
    "MLOps.get_last_approved_model": Line(
        lambda: name_of(mlops.get_last_approved_model()), connected=DEPLOYED, asks=True
    ),
    "MLOps.wait_for_model": Line(
        lambda: name_of(mlops.wait_for_model(5, annotations={"trees": 7}, histograms=True)),
        connected=DEPLOYED,
        asks=True,
    ),
    "MLOps.wait_for_model in vain": Line(lambda: mlops.wait_for_model(0.2, name="another"), asks=True),
    "MLOps.wait_for_model for less than no time": Line(lambda: mlops.wait_for_model(-1), answers=REFUSED),
    "models.model.Model.deployment": Line(
        lambda: deployment_of(mlops.get_last_approved_model()),
        connected=[
            f"{DEPLOYED_ID}-train",
            "train",
            "requested",
            "always_update",
            "newest model",
            "policy",
        ],
        asks=True,
    ),
    "models.model.Model.download": Line(
        taken,
        answers=REFUSED,
        connected=WEIGHTS,
        adds=(
            event(
                3,
                "ModelAccepted",
                "downloaded, 7 bytes, checksum holds",
                f'{{"model_id": "{DEPLOYED_ID}", "sha256": "{sha256(WEIGHTS.encode()).hexdigest()}", '
                f'"deployment_id": "{DEPLOYED_ID}-train"}}',
                is_alert=False,
            ),
        ),
        asks=True,
    ),
    "MLOps.current_model": Line(lambda: name_of(mlops.current_model()), connected=DEPLOYED, asks=True),
    "MLOps.set_data_distribution_stat": Line(
        lambda: mlops.set_data_distribution_stat(TRAINING),
        DISTRIBUTION,
        adds=(
            "dataheatmap, HEATMAP, TIME_SERIES, {'c0': 0.5, 'c1': 0.5}",
            (
                "continuousDataHistogram.overlapResult, MULTILINEGRAPH, TIME_SERIES, "
                "{'overlapScore_c0': 1.0, 'overlapScore_c1': 1.0}"
            ),
            *(
                f"drift.{measure}, MULTILINEGRAPH, TIME_SERIES, {{'c0': {value}, 'c1': {value}}}"
                for measure, value in DRIFT_OF_THE_SAME.items()
            ),
        ),
        asks=True,
    ),
}
