"""Kinds of nodes, and which of them make models and take them."""

from __future__ import annotations

from typing import Literal, get_args

NodeType = Literal[
    "model_producer", "model_consumer", "model_producer_consumer", "pipeline_comparator", "auxiliary"
]
Mode = Literal["offline", "online"]
NODE_TYPES = frozenset(get_args(NodeType))
PRODUCERS = frozenset({"model_producer", "model_producer_consumer"})
CONSUMERS = frozenset({"model_consumer", "model_producer_consumer"})
