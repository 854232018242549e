"""``health``: the distribution of a feature must stay similar to that of the training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from parallelm.definitions.form import Name, Score
from parallelm.definitions.rules import SeriesRuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

Features = Annotated[
    Annotated[list[Name], Field(min_length=1), Tag("list")] | Annotated[Literal["all"], Tag("word")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "word"),
]


class HealthRuleForm(SeriesRuleForm, type_name="health"):
    """Similarity of the inference data with the training data; one alert a feature."""

    features: Features = "all"
    threshold: Score | None = None

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """Each feature once."""
        yield from super().semantic_errors(raw)
        features = raw.get("features")
        if isinstance(features, list):
            for at, feature in enumerate(features):
                if feature in features[:at]:
                    yield ("features", at), f"feature {feature!r} is listed twice"

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """Threshold and features; the policy's health threshold where the rule has none."""
        threshold = policy.health_threshold if self.threshold is None else self.threshold
        return super().parameters(policy) | {"threshold": threshold, "features": self.features}
