"""``change_point``: the level of a statistic must not change, whatever it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from parallelm.definitions.form import Number
from parallelm.definitions.rules import SampleRuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm
    from parallelm.schemas.records import AlertRule

_OWN_KEYS = {"adwin": ("check_every",), "page_hinkley": ("threshold", "alpha")}
"""Keys that only one method has."""
_ADWIN_DELTA = 0.002
_ADWIN_MIN_SAMPLES = 10
_PAGE_HINKLEY_DELTA = 0.005
_PAGE_HINKLEY_MIN_SAMPLES = 30


class ChangePointRuleForm(SampleRuleForm, type_name="change_point"):
    """ADWIN or Page-Hinkley; the defaults are those of river."""

    method: Literal["adwin", "page_hinkley"] = "adwin"
    direction: Literal["increase", "decrease", "either"] = "either"
    settle_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    delta: Annotated[Number, Field(ge=0)] | None = None
    min_samples: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    check_every: Annotated[int, Field(ge=1, le=100_000)] = 32
    threshold: Annotated[Number, Field(gt=0)] | None = None
    alpha: Annotated[Number, Field(gt=0, le=1)] = 0.9999

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """Keys of its method, and no ``for``: a change is a moment."""
        yield from super().semantic_errors(raw)
        if raw.get("for") not in {None, 0, "0s"}:
            yield (
                ("for",),
                "a change is a moment and does not last: a change_point rule has no 'for'; see 'settle_samples'",
            )
        method = raw.get("method", "adwin")
        for other, keys in _OWN_KEYS.items():
            for key in keys:
                if method in _OWN_KEYS and other != method and raw.get(key) is not None:
                    yield (key,), f"{key!r} is for method: {other}; this rule's method is {method}"
        if method == "page_hinkley" and raw.get("threshold") is None:
            yield (
                (),
                "method: page_hinkley needs 'threshold': how far the deviations may sum up, in the statistic's unit",
            )
        delta = raw.get("delta")
        if method == "adwin" and isinstance(delta, int | float) and not 0 < delta < 1:
            yield (
                ("delta",),
                f"delta: {delta:g} is no probability of a false alarm; ADWIN needs one above 0 and below 1",
            )

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """The detector's."""
        shared = super().parameters(policy) | {
            "method": self.method,
            "direction": self.direction,
            "settle_samples": self.settle_samples,
        }
        if self.method == "adwin":
            return shared | {
                "delta": _ADWIN_DELTA if self.delta is None else self.delta,
                "min_samples": self.min_samples or _ADWIN_MIN_SAMPLES,
                "check_every": self.check_every,
            }
        return shared | {
            "delta": _PAGE_HINKLEY_DELTA if self.delta is None else self.delta,
            "min_samples": self.min_samples or _PAGE_HINKLEY_MIN_SAMPLES,
            "threshold": self.threshold,
            "alpha": self.alpha,
        }

    def to_record(self, policy: PolicyForm) -> AlertRule:
        """Without the ``for`` that ``alert_defaults`` may give to the other rules of the file."""
        return replace(super().to_record(policy), for_ms=0)
