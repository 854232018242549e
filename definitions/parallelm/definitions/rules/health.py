"""``health``: the distribution of a feature must stay that of the training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from parallelm.definitions.form import Name, Number, Score
from parallelm.definitions.rules import SeriesRuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

Features = Annotated[
    Annotated[list[Name], Field(min_length=1), Tag("list")] | Annotated[Literal["all"], Tag("word")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "word"),
]


P_VALUE: Final = "p_value"
SCORE: Final = "score"
DISTANCES: Final[Mapping[str, float]] = {"psi": 0.25, "js": 0.05, "ks": 0.2}
"""Measures that grow with the drift, and the threshold of each where a rule has none."""
FALSE_DISCOVERY_RATE: Final = 0.001
LARGEST_RATE: Final = 0.1
"""A larger one is rather the threshold of another measure than a rate of false alarms."""
MIN_EFFECT: Final = 0.01
"""Jensen-Shannon divergence in bits: 2 % in a new category, or a mean moved by a quarter of a deviation."""
MIN_ROWS: Final = 30


class HealthRuleForm(SeriesRuleForm, type_name="health"):
    """Drift of the inference data from the training data; one alert a feature."""

    features: Features = "all"
    measure: Literal["p_value", "psi", "js", "ks", "score"] | None = None
    """None: the score where the rule has a threshold, since that is what a bare threshold has always meant; else p_value."""
    threshold: Annotated[Number, Field(ge=0)] | None = None
    false_discovery_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    min_effect: Score | None = None
    min_rows: Annotated[int, Field(ge=1, le=1_000_000_000)] = MIN_ROWS

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """Each feature once; a threshold that the measure can reach; what belongs to other measures is left out."""
        yield from super().semantic_errors(raw)
        features = raw.get("features")
        if isinstance(features, list):
            for at, feature in enumerate(features):
                if feature in features[:at]:
                    yield ("features", at), f"feature {feature!r} is listed twice"
        measure = raw.get("measure") or _implied_measure(raw.get("threshold"))
        yield from _threshold_mistakes(measure, raw.get("threshold"))
        if raw.get("min_effect") is not None and measure != P_VALUE:
            yield (
                ("min_effect",),
                f"min_effect is of measure p_value; for {measure!r} the threshold is the effect",
            )
        if raw.get("false_discovery_rate") is not None and measure not in DISTANCES:
            yield (
                ("false_discovery_rate",),
                f"false_discovery_rate is of the measures {', '.join(DISTANCES)}; of p_value it is the threshold",
            )

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """What the processors judge by; the policy's health threshold where a rule about the score has none."""
        defaults = {P_VALUE: FALSE_DISCOVERY_RATE, SCORE: policy.health_threshold, **DISTANCES}
        measure = self.measure or _implied_measure(self.threshold)
        found: dict[str, object] = {
            "measure": measure,
            "threshold": defaults[measure] if self.threshold is None else self.threshold,
            "features": self.features,
            "min_rows": self.min_rows,
        }
        if measure == P_VALUE:
            found["min_effect"] = MIN_EFFECT if self.min_effect is None else self.min_effect
        elif measure in DISTANCES:
            found["false_discovery_rate"] = self.false_discovery_rate or FALSE_DISCOVERY_RATE
        return super().parameters(policy) | found


def _implied_measure(threshold: Any) -> str:
    return P_VALUE if threshold is None else SCORE


def _threshold_mistakes(measure: Any, threshold: Any) -> Iterator[tuple[Path, str]]:
    if not isinstance(threshold, int | float) or isinstance(threshold, bool):
        return
    if measure == P_VALUE and not 0 < threshold <= LARGEST_RATE:
        yield (
            ("threshold",),
            (
                f"threshold {threshold:g} of measure p_value is a false-discovery rate, above 0 and at most "
                f"{LARGEST_RATE:g}; for a similarity score add 'measure: score'"
            ),
        )
    elif measure in {SCORE, "js", "ks"} and not 0 <= threshold <= 1:
        yield ("threshold",), f"threshold {threshold:g} of measure {measure} is not from 0 to 1"
