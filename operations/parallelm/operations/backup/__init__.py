"""A backup of the platform: the warehouse, the models, and the topics that hold what there is nowhere else."""

from parallelm.operations.backup.backup import BackupReport, back_up, restore
from parallelm.operations.backup.topics import BACKED_UP

__all__ = ["BACKED_UP", "BackupReport", "back_up", "restore"]
