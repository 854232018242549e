"""Who may do what on Kafka: the least rights of each role, and how a cluster gets them."""

from parallelm.operations.access.kafka_acls import grant, kafka_acls_lines
from parallelm.operations.access.roles import ROLES, Right, Role, rights_of

__all__ = ["ROLES", "Right", "Role", "grant", "kafka_acls_lines", "rights_of"]
