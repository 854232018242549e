"""Argument names and defaults of every call of the contract."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from parallelm.mlops import MLOps
from parallelm.mlops._metrics import MLOpsMetrics
from parallelm.mlops._metrics.clustering import ClusterTables
from parallelm.mlops.models.model import Model

from .signatures import assert_takes

MLOPS = """
init(ctx=None, connect_mlops=False, version=None, mlops_mode=None)
done()
attach(mlapp_id, mlops_server="localhost", mlops_port="3456", user="admin", password=None)
suppress_connection_errors(suppress)
get_uuid()
set_uuid(uuid)
_set_test_mode(value)
_set_api_test_mode()
get_stats_map()
event_time(ts)
get_mlapp_id()
get_mlapp_name()
get_mlapp_policy()
get_nodes()
get_node(name)
get_current_node()
get_agents(node_name)
get_agent(node_name, agent_id)
set_stat(name, data=None, category=StatCategory.TIME_SERIES, timestamp=None, **kwargs)
set_kpi(name, data, timestamp=None, units=None)
get_stats(name, mlapp_node, agent, start_time, end_time, no_of_lines=-1)
get_kpi(name, start_time, end_time)
set_data_distribution_stat(data, model=None, timestamp=None)
get_data_distribution_stats(model_id)
event(event_obj)
set_event(name, type=None, data=None, is_alert=False, timestamp=None)
data_alert(title, desc, data=None)
health_alert(title, desc, data=None)
system_alert(title, desc, data=None)
canary_alert(title, is_healthy, score, threshold)
get_events(type=None, mlapp_node=None, agent=None, start_time=None, end_time=None, is_alert=True)
Model(name="", model_format=ModelFormat.UNKNOWN, description="")
publish_model(model)
current_model()
get_last_approved_model()
get_models_by_time(start_time, end_time, download=False, pipeline_name=None)
get_model_by_id(model, download=False)
"""

PROPERTIES = ["init_called", "done_called", "test_mode", "mlapp_id", "mlapp_name", "mlapp_policy", "nodes"]

MODEL = """
get_id()
set_model_path(path)
get_model_path()
set_annotations(annotations)
get_annotations()
set_stat(name, data=None, category=StatCategory.TIME_SERIES, timestamp=None, **kwargs)
set_data_distribution_stat(data, model=None, timestamp=None)
set_kpi(name, data, timestamp=None, units=None)
feature_importance(feature_importance_vector=None, feature_names=None, model=None, df=None, num_significant_features=8)
download(filepath)
"""

METRICS = """
accuracy_score(y_true, y_pred, normalize=True, sample_weight=None)
auc(x, y, reorder='deprecated')
average_precision_score(y_true, y_score, average='macro', sample_weight=None)
balanced_accuracy_score(y_true, y_pred, sample_weight=None, adjusted=False)
brier_score_loss(y_true, y_prob, sample_weight=None, pos_label=None)
classification_report(y_true, y_pred, labels=None, target_names=None, sample_weight=None, digits=2)
cohen_kappa_score(y1, y2, labels=None, weights=None, sample_weight=None)
confusion_matrix(y_true, y_pred, labels, sample_weight=None)
f1_score(y_true, y_pred, labels=None, pos_label=1, average='binary', sample_weight=None)
fbeta_score(y_true, y_pred, beta, labels=None, pos_label=1, average='binary', sample_weight=None)
hamming_loss(y_true, y_pred, labels=None, sample_weight=None)
hinge_loss(y_true, pred_decision, labels=None, sample_weight=None)
jaccard_similarity_score(y_true, y_pred, normalize=True, sample_weight=None)
log_loss(y_true, y_pred, eps=1e-15, normalize=True, sample_weight=None, labels=None)
matthews_corrcoef(y_true, y_pred, sample_weight=None)
precision_recall_curve(y_true, probas_pred, pos_label=None, average='macro', sample_weight=None)
precision_score(y_true, y_pred, labels=None, pos_label=1, average='binary', sample_weight=None)
recall_score(y_true, y_pred, labels=None, pos_label=1, average='binary', sample_weight=None)
roc_auc_score(y_true, y_score, average='macro', sample_weight=None)
roc_curve(y_true, y_score, pos_label=None, sample_weight=None, drop_intermediate=True)
zero_one_loss(y_true, y_pred, normalize=True, sample_weight=None)
explained_variance_score(y_true, y_pred, sample_weight=None, multioutput='uniform_average')
mean_absolute_error(y_true, y_pred, sample_weight=None, multioutput='uniform_average')
mean_squared_error(y_true, y_pred, sample_weight=None, multioutput='uniform_average')
mean_squared_log_error(y_true, y_pred, sample_weight=None, multioutput='uniform_average')
r2_score(y_true, y_pred, sample_weight=None, multioutput='uniform_average')
median_absolute_error(y_true, y_pred)
adjusted_mutual_info_score(labels_true, labels_pred)
adjusted_rand_score(labels_true, labels_pred)
completeness_score(labels_true, labels_pred)
homogeneity_score(labels_true, labels_pred)
homogeneity_completeness_v_measure(labels_true, labels_pred)
normalized_mutual_info_score(labels_true, labels_pred)
v_measure_score(labels_true, labels_pred)
mutual_info_score(labels_true, labels_pred, contingency=None)
fowlkes_mallows_score(labels_true, labels_pred, sparse=False)
calinski_harabaz_score(X, labels)
silhouette_score(X, labels, metric='euclidean', sample_size=None, random_state=None, **kwds)
"""

CLASSES_AND_FUNCTIONS = """
events.event:Event(label, description=None, data=None, event_type=GenericEvent, is_alert=False, timestamp=None)
events.data_alert:DataAlert(label, description=None, data=None)
events.health_alert:HealthAlert(label, description=None, data=None)
events.system_alert:SystemAlert(label, description=None, data=None)
events.canary_alert:CanaryAlert(label, is_healthy=False, score=None, threshold=None)
models.model:ModelMetadata(modelId, name, model_format, description="")
mlops_exception:SuppressException(exc_list=(Exception,), handler=None)
packer:DirectoryPack(temp_folder=None)
packer:DirectoryPack.pack(directory)
packer:DirectoryPack.unpack(archive, destination)
common.string_ops:mask_passwords(value)
mlops_mode:MLOpsMode.from_str(name)
models.model:ModelFormat.from_str(name)
stats.kpi_value:KpiValue(name, value, timestamp=None, units=None)
stats.single_value:SingleValue()
stats.single_value:SingleValue.name(name)
stats.single_value:SingleValue.value(value)
stats.single_value:SingleValue.mode(mode)
stats.multi_line_graph:MultiLineGraph.labels(label_list)
stats.multi_line_graph:MultiLineGraph.data(vec)
stats.table:Table.cols(name_list)
stats.table:Table.columns_names(name_list)
stats.table:Table.add_row(arg1, arg2=None)
stats.table:Table.add_rows(rows)
stats.bar_graph:BarGraph.cols(col_names)
stats.bar_graph:BarGraph.columns_names(col_names)
stats.bar_graph:BarGraph.data(vec)
stats.bar_graph:BarGraph.as_continuous()
stats.graph:Graph.x_title(title)
stats.graph:Graph.y_title(title)
stats.graph:Graph.set_categorical()
stats.graph:Graph.set_continuous()
stats.graph:Graph.set_x_series(x_series)
stats.graph:Graph.add_y_series(label, data)
stats.graph:Graph.annotate(label, x=None, y=None)
stats.graph:MultiGraph.x_title(title)
stats.graph:MultiGraph.y_title(title)
stats.graph:MultiGraph.set_categorical()
stats.graph:MultiGraph.set_continuous()
stats.graph:MultiGraph.add_series(x, y, label)
stats.graph:MultiGraph.annotate(label, x=None, y=None)
stats.opaque:Opaque.data(obj)
stats.html:HTML.data(html)
events.event_filter:EventFilter()
events.event_broker:EventBroker.get_events(event_filter)
examples.utils:_get_agent_id(node, agent=None)
examples.canary_comparator_base:canary_comparator(options, start, end, mode)
examples.ab_testing_base:ab_test(options, start, end, mode)
examples.ab_testing_base:statsCalculator()
examples.ab_testing_base:statsCalculator.exptOutcome(samples_control, conv_samples_control, samples_B, conv_samples_B, confidence)
examples.ab_testing_base:statsCalculator.calConfidence()
examples.ab_testing_base:statsCalculator.calSuccess(value)
"""


def _lines(written: str, owner: Any = None) -> list[Any]:
    return [pytest.param(owner, line, id=line.partition("(")[0]) for line in written.split("\n") if line]


@pytest.mark.parametrize(
    ("owner", "written"),
    [
        *_lines(MLOPS, MLOps),
        *_lines(MODEL, Model),
        *_lines(METRICS, MLOpsMetrics),
        *_lines("contingency_matrix(labels_true, labels_pred)", ClusterTables),
    ],
)
def test_a_method_takes_what_it_took(owner: type, written: str) -> None:
    name, _, arguments = written.partition("(")
    assert_takes(getattr(owner, name), arguments.removesuffix(")"))


@pytest.mark.parametrize(("_owner", "written"), _lines(CLASSES_AND_FUNCTIONS))
def test_a_class_or_function_takes_what_it_took(_owner: None, written: str) -> None:
    path, _, arguments = written.partition("(")
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(f"parallelm.mlops.{module}")
    for name in names.split("."):
        found = getattr(found, name)
    assert_takes(found, arguments.removesuffix(")"))


@pytest.mark.parametrize("name", PROPERTIES)
def test_what_was_a_property_is_one(name: str) -> None:
    assert isinstance(getattr(MLOps, name), property)
