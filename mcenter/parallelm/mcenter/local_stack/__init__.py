"""The local stack: real Kafka and ClickHouse and all services as processes on loopback, from pip-installable parts."""

from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.stack import LocalStack

__all__ = ["LocalStack", "StackError"]
