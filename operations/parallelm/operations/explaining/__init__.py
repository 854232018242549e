"""Explanations of decisions: from an alert, a deployment or a run back to the records and numbers that led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.operations.alerts import find_alert
from parallelm.operations.errors import UnknownAlertError, UnknownDecisionError, UnknownRunError
from parallelm.operations.explaining.alert import explain_alert
from parallelm.operations.explaining.deployment import deployment_rows, explain_deployment
from parallelm.operations.explaining.part import Part
from parallelm.operations.explaining.run import explain_run
from parallelm.operations.runs import find_run

if TYPE_CHECKING:
    from parallelm.connections import Settings

__all__ = ["Part", "explain"]


def explain(settings: Settings, text: str) -> Part:
    """Explanation of the alert, deployment or run that ``text`` names, by the beginning of its id; a model's for its last deployment.

    Raises ``UnknownDecisionError`` when there is none, or more than one, and the driver's errors.
    """
    deployments = deployment_rows(settings, text) if text.strip() else []
    try:
        alert = find_alert(settings, text)
    except UnknownAlertError as error:
        if deployments:
            return explain_deployment(settings, text, deployments)
        try:
            return explain_run(settings, find_run(settings, text))
        except UnknownRunError as no_run:
            told = f"no deployment has an id that begins with {text!r}; {no_run}; {error}"
            raise UnknownDecisionError(told) from error
    if deployments:
        raise UnknownDecisionError(
            f"{text!r} begins the id of alert {alert['alert_id']} and of deployment "
            f"{deployments[-1]['deployment_id']}; write more of it"
        )
    return explain_alert(settings, alert)
