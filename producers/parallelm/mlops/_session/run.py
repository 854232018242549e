"""What a component says of its own run; the library only keeps it."""

from __future__ import annotations


class Run:
    """Id and test mode of a run."""

    def __init__(self) -> None:
        self.test_mode = False
        self._uuid = ""

    @property
    def uuid(self) -> str:
        """The id that was set, else a fresh one that stays."""
        if not self._uuid:
            import uuid

            self._uuid = str(uuid.uuid4())
        return self._uuid

    @uuid.setter
    def uuid(self, uuid: str) -> None:
        self._uuid = uuid
