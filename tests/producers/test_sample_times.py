"""Samples carry their time as a float: every path agrees on its millisecond."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops import mlops
from parallelm.mlops._delivery.batches import BatchEncoder
from parallelm.mlops._delivery.drops import DropCounter
from parallelm.mlops._reporting.samples import queued_time_s
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.testing import Captured, capture
from parallelm.schemas import records, topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.times import MAX_TIME_MS, MIN_TIME_MS, number_ns

registry = PackagedRegistry("mlops.")
codec = Codec(registry)
origin = records.Origin(mlapp_id="a", node_id="n", pipeline_instance_id="p", agent_id="h")


def sent_ms(times_s: list[float]) -> list[int]:
    encoder = BatchEncoder(registry, origin, "p", DropCounter())
    (batch,) = encoder.encode([("x", 1.0, time_s) for time_s in times_s], lambda: 0)
    record: Any = codec.decode(topics.STATISTICS, batch.value)
    return [int(time_ms) for time_ms in record.series[0].timestamps_ms]
