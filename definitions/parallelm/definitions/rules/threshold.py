"""``threshold``: a statistic must not go above, or below, a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.definitions.form import Number
from parallelm.definitions.rules import SampleRuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm


class ThresholdRuleForm(SampleRuleForm, type_name="threshold"):
    """A statistic that must not go above, or below, a number."""

    above: Number | None = None
    below: Number | None = None

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """It has one side."""
        yield from super().semantic_errors(raw)
        if (raw.get("above") is None) == (raw.get("below") is None):
            yield (), "a threshold rule needs exactly one of 'above' and 'below'"

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """Side and number."""
        shared = super().parameters(policy)
        if self.above is not None:
            return shared | {"side": "above", "threshold": self.above}
        return shared | {"side": "below", "threshold": self.below}
