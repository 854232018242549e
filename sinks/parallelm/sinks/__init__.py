"""From Kafka to ClickHouse, exactly once in effect; what cannot be handled goes to dead letters."""

from parallelm.sinks.dead_letters import DeadLetterLimit
from parallelm.sinks.errors import SinkError
from parallelm.sinks.heap import share_arenas
from parallelm.sinks.metrics import SinkMetrics
from parallelm.sinks.options import SinkOptions
from parallelm.sinks.service import run_sink
from parallelm.sinks.sink import Sink

__all__ = ["DeadLetterLimit", "Sink", "SinkError", "SinkMetrics", "SinkOptions", "run_sink", "share_arenas"]
