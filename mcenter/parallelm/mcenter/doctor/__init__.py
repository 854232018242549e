"""What ``mcenter doctor`` checks: this machine, the local stack's folder, and the configured cluster."""

from parallelm.mcenter.doctor.check import Check, Verdict
from parallelm.mcenter.doctor.cluster import cluster_checks
from parallelm.mcenter.doctor.machine import machine_checks
from parallelm.mcenter.doctor.stack_folder import stack_checks

__all__ = ["Check", "Verdict", "cluster_checks", "machine_checks", "stack_checks"]
