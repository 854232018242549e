"""``canary``: the predictions of a canary must stay close to those of the main pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from parallelm.definitions.form import PositiveDurationMs
from parallelm.definitions.rules import RuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

DEFAULT_STALE_MS = 86_400_000


class CanaryRuleForm(RuleForm, type_name="canary"):
    """The distance that canary comparators report."""

    threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    title: str | None = None
    max_gap: PositiveDurationMs | None = None
    stale_after: PositiveDurationMs = DEFAULT_STALE_MS

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """As of every rule."""
        yield from super().semantic_errors(raw)

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """The rule's threshold, else the policy's; without either the comparator's own judgement counts."""
        found: dict[str, object] = {"stale_after_ms": self.stale_after}
        more: dict[str, object] = {
            "threshold": policy.canary_threshold if self.threshold is None else self.threshold,
            "title": self.title,
            "max_gap_ms": self.max_gap,
        }
        return found | {key: value for key, value in more.items() if value is not None}
