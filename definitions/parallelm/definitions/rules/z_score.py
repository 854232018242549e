"""``z_score``: a statistic must not be far from where it usually is, measured in how much it usually varies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from parallelm.definitions.form import Number
from parallelm.definitions.limits import side_mistakes, side_parameters
from parallelm.definitions.rules import SampleRuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm

MAX_STORED = 500
"""Samples that a baseline with a window may have: they are stored for each series."""
USUAL_MIN_SAMPLES = 30


class ZScoreRuleForm(SampleRuleForm, type_name="z_score"):
    """Distance of each sample from the baseline of the samples before it, in standard deviations."""

    baseline: Literal["ewma", "mean", "median"] = "ewma"
    samples: Annotated[int, Field(ge=5, le=100_000)] = 100
    min_samples: Annotated[int, Field(ge=2)] | None = None
    min_spread: Annotated[Number, Field(ge=0)] = 0.0
    above: Number | None = None
    below: Number | None = None
    beyond: Number | None = None

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """One side that is not where samples usually are, and a baseline that can be stored and filled."""
        yield from super().semantic_errors(raw)
        yield from side_mistakes(cls.type_name, raw)
        for side, sign in (("above", 1), ("below", -1)):
            number = raw.get(side)
            if isinstance(number, int | float) and not isinstance(number, bool) and number * sign <= 0:
                word = "above" if sign > 0 else "below"
                yield (side,), f"{side}: {number:g} is where half of all samples are; write a number {word} 0"
        samples, least = raw.get("samples", 100), raw.get("min_samples")
        if not isinstance(samples, int):
            return
        if raw.get("baseline") in {"mean", "median"} and samples > MAX_STORED:
            yield (
                ("samples",),
                f"baseline: {raw['baseline']} stores its samples, at most {MAX_STORED}; for more use baseline: ewma",
            )
        if isinstance(least, int) and least > samples:
            yield ("min_samples",), f"min_samples: {least} are more than the baseline's {samples} samples"

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """Baseline, side and number."""
        least = min(USUAL_MIN_SAMPLES, self.samples) if self.min_samples is None else self.min_samples
        own = {
            "baseline": self.baseline,
            "samples": self.samples,
            "min_samples": least,
            "min_spread": self.min_spread,
        }
        return super().parameters(policy) | own | side_parameters(self)
