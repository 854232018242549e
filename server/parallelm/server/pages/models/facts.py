"""What is known of a model: its announcement, metrics, feature importance, deployments and what it did while live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parallelm.operations.errors import UnknownModelError
from parallelm.operations.json_values import read_json
from parallelm.schemas.errors import SignatureError
from parallelm.schemas.model_signatures import signed_row, signer
from parallelm.schemas.well_known import OVERLAP_SUFFIX
from parallelm.server.pages._rows import rows
from parallelm.warehouse.queries import (
    deployment_history,
    deployments,
    model_samples,
    model_usage,
    models,
    structured_statistics,
)

if TYPE_CHECKING:
    from parallelm.connections import Settings

IMPORTANCE: Final = "Feature Importance"
_METRICS: Final = 500
_DRIFT: Final = "drift."


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model."""

    row: dict[str, Any]
    annotations: dict[str, Any]
    metrics: list[dict[str, Any]]
    importance: list[tuple[str, float]]
    drift: list[dict[str, Any]]
    """Metrics of its data rather than of itself: drift, and how similar distributions are."""
    deployments: list[dict[str, Any]]
    usage: list[dict[str, Any]]

    @property
    def signature_problem(self) -> str:
        """Why its signature is not valid; empty when it is, or when there is none."""
        try:
            if self.row["signature"]:
                signer(signed_row(self.row), self.row["signature"])
        except SignatureError as error:
            return str(error)
        return ""

    @property
    def pending(self) -> list[dict[str, Any]]:
        """Its deployments that wait for a person."""
        return [each for each in self.deployments if each["state"] in {"awaiting_approval", "canary", "held"}]


def announced(settings: Settings, mlapp_id: str, model_id: str) -> dict[str, Any]:
    """Row of a model; raises ``UnknownModelError``."""
    found = rows(models(settings, mlapp_id=mlapp_id, model_id=model_id))
    if not found:
        raise UnknownModelError(f"MLApp {mlapp_id!r} has no model {model_id!r}")
    return found[0]


def facts_of(settings: Settings, mlapp_id: str, model_id: str) -> ModelFacts:
    """All of it; raises ``UnknownModelError``."""
    row = announced(settings, mlapp_id, model_id)
    metrics = sorted(
        model_samples(settings, mlapp_id, (model_id,)), key=lambda each: (each["name"], each["labels"])
    )
    return ModelFacts(
        row,
        {key: _value(text) for key, text in row["annotations"].items()},
        [each for each in metrics if not is_drift(each["name"])][:_METRICS],
        _importance(settings, mlapp_id, model_id),
        [each for each in metrics if is_drift(each["name"])][:_METRICS],
        rows(deployments(settings, mlapp_id=mlapp_id, model_id=model_id)),
        rows(model_usage(settings, mlapp_id=mlapp_id, model_id=model_id)),
    )


def is_drift(statistic: str) -> bool:
    """Whether a statistic is about data and not about what a model makes of them."""
    return statistic.startswith(_DRIFT) or statistic.endswith(OVERLAP_SUFFIX)


def history_of(settings: Settings, mlapp_id: str, model_id: str) -> list[dict[str, Any]]:
    """Every decision on it, the latest first."""
    return rows(deployment_history(settings, mlapp_id=mlapp_id, model_id=model_id))[::-1]


def _importance(settings: Settings, mlapp_id: str, model_id: str) -> list[tuple[str, float]]:
    """Features of the newest report, a bar graph: ``{name: [{feature: importance}, …]}``."""
    found = rows(structured_statistics(settings, IMPORTANCE, mlapp_id=mlapp_id, model_id=model_id))
    try:
        bars: list[dict[str, Any]] = next(iter(read_json(found[-1]["data"]).values()), []) if found else []
        return [(str(name), float(value)) for bar in bars for name, value in bar.items()]
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        return []


def _value(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return text
