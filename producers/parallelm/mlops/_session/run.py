"""Run id and test mode, which a component sets and reads; the library only stores them."""

from __future__ import annotations

from parallelm.mlops.stats._callers_values import truth
from parallelm.mlops.stats._values import string


class Run:
    """Id and test mode of a run."""

    def __init__(self) -> None:
        self.test_mode = False
        self._uuid = ""

    def set_test_mode(self, value: bool) -> None:
        """Remember whether this component runs as a test."""
        self.test_mode = truth(value, "the test mode")

    @property
    def uuid(self) -> str:
        """The id that was set, else a generated one that does not change."""
        if not self._uuid:
            import uuid

            self._uuid = str(uuid.uuid4())
        return self._uuid

    @uuid.setter
    def uuid(self, uuid: str) -> None:
        self._uuid = string(uuid, "the id of a run")
