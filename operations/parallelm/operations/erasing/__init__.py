"""Erase an MLApp, or what has a label's value: rows, files and what processors remember, with a record of what went."""

from parallelm.operations.erasing.erasure import Erasure, Found, erase, find
from parallelm.operations.erasing.held_by_kafka import Held, held_by_kafka
from parallelm.operations.erasing.places import Place

__all__ = ["Erasure", "Found", "Held", "Place", "erase", "find", "held_by_kafka"]
