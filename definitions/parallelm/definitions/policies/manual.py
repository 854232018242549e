"""``manual``: each new model waits until a person approves or rejects it."""

from __future__ import annotations

from parallelm.definitions.form import DurationMs
from parallelm.definitions.policies import PolicyForm
from parallelm.schemas.records import ModelPolicy


class ManualForm(PolicyForm, kind=ModelPolicy.MANUAL):
    """A review that nobody makes ends after ``review_timeout``; 0: never."""

    review_timeout: DurationMs = 0

    def parameters(self) -> dict[str, object]:
        """The limit of a review."""
        return {"review_timeout_ms": self.review_timeout}
