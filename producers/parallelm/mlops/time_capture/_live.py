"""Calls of ``mlops`` that a timeline capture does not support, since they need a live system."""

from __future__ import annotations

from typing import Final

LIVE_CALLS: Final = frozenset(
    {
        "Model",
        "actuals",
        "attach",
        "canary_alert",
        "current_model",
        "data_alert",
        "done_called",
        "dropped",
        "event",
        "event_time",
        "get_agent",
        "get_agents",
        "get_current_node",
        "get_data_distribution_stats",
        "get_last_approved_model",
        "get_mlapp_name",
        "get_model_by_id",
        "get_models_by_time",
        "get_node",
        "get_stats_map",
        "get_uuid",
        "health_alert",
        "init",
        "init_called",
        "load_time_capture",
        "metrics",
        "mlapp_id",
        "mlapp_name",
        "mlapp_policy",
        "nodes",
        "predictions",
        "publish_model",
        "series",
        "set_data_distribution_stat",
        "set_event",
        "set_kpi",
        "set_stat",
        "set_uuid",
        "suppress_connection_errors",
        "system_alert",
        "test_mode",
        "wait_for_model",
    }
)
