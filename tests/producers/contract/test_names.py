"""Import paths, exported names, enums and exceptions: what years-old component code imports and compares."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import parallelm
from parallelm import mlops as package
from parallelm.mlops import Constants, MLOps, Versions
from parallelm.mlops.events.data_alert import DataAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType, type_number
from parallelm.mlops.examples.utils import RunModes
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import (
    MLOpsConnectionException,
    MLOpsException,
    MLOpsStatisticsException,
)
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats_category import StatCategory, StatGraphType, StatsMode

if TYPE_CHECKING:
    from enum import Enum

IMPORTS = {
    "parallelm.mlops": "mlops MLOps StatCategory Versions Constants version __version__ project_name symlink_name",
    "parallelm.mlops.mlops_mode": "MLOpsMode",
    "parallelm.mlops.mlops_exception": (
        "MLOpsException MLOpsConnectionException MLOpsStatisticsException SuppressException"
    ),
    "parallelm.mlops.constants": "Constants Versions",
    "parallelm.mlops.predefined_stats": "PredefinedStats",
    "parallelm.mlops.stats_category": "StatCategory StatsMode StatGraphType",
    "parallelm.mlops.metrics_constants": "ClassificationMetrics RegressionMetrics ClusteringMetrics",
    "parallelm.mlops.models.model": "Model ModelFormat ModelMetadata",
    "parallelm.mlops.common.string_ops": "mask_passwords",
    "parallelm.mlops.packer": "DirectoryPack",
    "parallelm.mlops.ion.ion": "MLAppNode Agent",
    "parallelm.mlops.events.event": "Event",
    "parallelm.mlops.events.data_alert": "DataAlert",
    "parallelm.mlops.events.health_alert": "HealthAlert",
    "parallelm.mlops.events.system_alert": "SystemAlert",
    "parallelm.mlops.events.canary_alert": "CanaryAlert",
    "parallelm.mlops.events.event_type": "EventType",
    "parallelm.mlops.events.event_filter": "EventFilter",
    "parallelm.mlops.events.event_broker": "EventBroker",
    "parallelm.mlops.stats.single_value": "SingleValue",
    "parallelm.mlops.stats.multi_line_graph": "MultiLineGraph",
    "parallelm.mlops.stats.table": "Table",
    "parallelm.mlops.stats.bar_graph": "BarGraph",
    "parallelm.mlops.stats.graph": "Graph MultiGraph",
    "parallelm.mlops.stats.opaque": "Opaque",
    "parallelm.mlops.stats.html": "HTML",
    "parallelm.mlops.stats.kpi_value": "KpiValue",
    "parallelm.mlops.examples": "",
    "parallelm.mlops.examples.utils": "RunModes _get_agent_id",
    "parallelm.mlops.examples.canary_comparator_base": "canary_comparator",
    "parallelm.mlops.examples.ab_testing_base": "ab_test statsCalculator",
}


@pytest.mark.parametrize("module", IMPORTS)
def test_a_module_has_the_names_that_components_import(module: str) -> None:
    found = importlib.import_module(module)
    assert not [name for name in IMPORTS[module].split() if not hasattr(found, name)]


def test_parallelm_is_a_namespace_that_other_distributions_may_add_to() -> None:
    assert parallelm.__file__ is None
    assert not [folder for folder in parallelm.__path__ if (Path(folder) / "__init__.py").exists()]


def test_what_the_package_says_of_itself() -> None:
    assert isinstance(package.mlops, MLOps)
    assert (package.project_name, package.symlink_name) == ("ml-ops", "mlops")
    assert package.version == package.__version__ == Versions.CURRENT
    assert package.StatCategory is StatCategory
    assert Constants.OFFICIAL_NAME == "ml-ops"


ENUMS: list[tuple[type[Enum], dict[str, Any]]] = [
    (
        MLOpsMode,
        {
            "STAND_ALONE": "stand_alone",
            "ATTACH": "attach",
            "AGENT": "agent",
            "REST_ACCUMULATOR": "rest_accumulator",
        },
    ),
    (StatCategory, {"GENERAL": 0, "CONFIG": 1, "TIME_SERIES": 2, "INPUT": 3}),
    (RunModes, {"PYTHON": "python", "PYSPARK": "pyspark"}),
    (StatsMode, {"TimeSeries": "TIME_SERIES", "Instant": "INSTANT"}),
    (
        StatGraphType,
        {
            name: name
            for name in [
                "HISTOGRAM",
                "HEATMAP",
                "EVENTS",
                "MATRIX",
                "KPI",
                "LINEGRAPH",
                "BARGRAPH",
                "MULTILINEGRAPH",
                "TABLE",
                "OPAQUE",
                "GENERAL_GRAPH",
                "HTML",
                "UNKNOWN",
                "VECTOR",
            ]
        }
        | {"HISTOGRAM_TYPE_CONTIGOUOUS": "continuous", "HISTOGRAM_TYPE_CATEGORICAL": "categorical"},
    ),
    (
        ModelFormat,
        {
            "JSON": "Json",
            "SAVEDMODEL": "Savedmodel",
            "SPARKML": "SparkML",
            "BINARY": "Binary",
            "TEXT": "Text",
            "SCIKIT_LEARN_2": "ScikitLearn_2",
            "SCIKIT_LEARN_3": "ScikitLearn_3",
            "H2O_3": "H2O_3",
            "H2O_DRIVERLESS_AI": "H2O_Driverless_AI",
            "UNKNOWN": "Unknown",
            "PMML": "Pmml",
            "ONNX": "Onnx",
            "PYTORCH": "Pytorch",
            "XGBOOST": "Xgboost",
            "MLFLOW": "Mlflow",
        },
    ),
    (
        ClassificationMetrics,
        {
            name: name.replace("_", " ").title()
            for name in [
                "BALANCED_ACCURACY_SCORE",
                "BRIER_SCORE_LOSS",
                "COHEN_KAPPA_SCORE",
                "HAMMING_LOSS",
                "HINGE_LOSS",
                "JACCARD_SIMILARITY_SCORE",
                "LOG_LOSS",
                "ZERO_ONE_LOSS",
                "PRECISION_SCORE",
                "RECALL_SCORE",
                "CLASSIFICATION_REPORT",
                "CONFUSION_MATRIX",
                "PRECISION_RECALL_CURVE",
            ]
        }
        | {
            "ACCURACY_SCORE": "Accuracy Score",
            "AUC": "AUC(Area Under the Curve)",
            "AVERAGE_PRECISION_SCORE": "Average Precision Score",
            "MATTHEWS_CORRELATION_COEFFICIENT": "Matthews Correlation Coefficient",
            "ROC_AUC_SCORE": "ROC AUC Score",
            "F1_SCORE": "F1 Score",
            "FBETA_SCORE": "F-beta Score",
            "ROC_CURVE": "ROC Curve",
        },
    ),
    (
        RegressionMetrics,
        {
            name: name.replace("_", " ").title()
            for name in [
                "EXPLAINED_VARIANCE_SCORE",
                "MEAN_ABSOLUTE_ERROR",
                "MEAN_SQUARED_ERROR",
                "MEAN_SQUARED_LOG_ERROR",
                "MEDIAN_ABSOLUTE_ERROR",
                "R2_SCORE",
            ]
        },
    ),
    (
        ClusteringMetrics,
        {
            name: name.replace("_", " ").title()
            for name in [
                "ADJUSTED_MUTUAL_INFO_SCORE",
                "ADJUSTED_RAND_SCORE",
                "CALINSKI_HARABAZ_SCORE",
                "COMPLETENESS_SCORE",
                "CONTINGENCY_MATRIX",
                "FOWLKES_MALLOWS_SCORE",
                "HOMOGENEITY_SCORE",
                "MUTUAL_INFO_SCORE",
                "NORMALIZED_MUTUAL_INFO_SCORE",
                "SILHOUETTE_SCORE",
                "V_MEASURE_SCORE",
            ]
        }
        | {"HOMOGENEITY_COMPLETENESS_V_MEASURE": "Homogeneity - Completeness - V Measure"},
    ),
]


@pytest.mark.parametrize(("enum", "members"), ENUMS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_enum_has_its_members_and_values(enum: type[Enum], members: dict[str, Any]) -> None:
    assert {member.name: member.value for member in enum} == members


@pytest.mark.parametrize("enum", [MLOpsMode, ModelFormat])
def test_some_members_are_texts(enum: type[Enum]) -> None:
    assert all(isinstance(member, str) and member == member.value for member in enum)


@pytest.mark.parametrize("mode", MLOpsMode)
def test_a_mode_is_found_by_its_name(mode: MLOpsMode) -> None:
    assert MLOpsMode.from_str(mode.value) is MLOpsMode.from_str(mode.value.upper()) is mode


@pytest.mark.parametrize("known", ModelFormat)
def test_a_format_is_found_by_name_and_value_in_any_case(known: ModelFormat) -> None:
    for text in (known.name, known.value):
        assert {ModelFormat.from_str(form) for form in (text, text.lower(), text.upper())} == {known}


def test_constants_of_classes() -> None:
    assert PredefinedStats.PREDICTIONS_COUNT == "pipelinestat.count"
    assert PredefinedStats.WORKER_STATS == "workers"
    assert PredefinedStats.PREDICTION_HISTOGRAM == "PredictionHistogram"
    assert (KpiValue.TIME_SEC, KpiValue.TIME_MSEC, KpiValue.TIME_NSEC) == (
        "second",
        "millisecond",
        "nanosecond",
    )
    assert Versions.SUPPORTED == ("1.0.0", "1.0.1", "1.1.0", "1.1.1", "1.2.1")


def test_every_exception_is_an_mlops_exception() -> None:
    assert issubclass(MLOpsConnectionException, MLOpsException)
    assert issubclass(MLOpsStatisticsException, MLOpsException)
    assert issubclass(DataAlert, Event)


def test_event_types() -> None:
    assert {kind.name: int(kind) for kind in EventType} == {
        "Health": 53,
        "Data": 52,
        "System": 54,
        "CanaryHealth": 151,
    }
    numbers = [
        type_number(name)
        for name in [
            "GenericEvent",
            "Anomaly",
            "Alert",
            "GenericDataAlert",
            "GenericHealthAlert",
            "GenericSystemAlert",
            "Model",
            "MLHealthModel",
            "ModelAccepted",
            "CanaryMessage",
            "CanaryHealth",
            "StatsMessage",
        ]
    ]
    assert len(set(numbers)) == len(numbers)
    assert type_number("GenericEvent") == 0
