"""What the model that was trained on broken input cost, in words, from the figures that were read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mcenter.demo.cells import cell

if TYPE_CHECKING:
    from parallelm.mcenter.demo.figures import Figures


def cost_of_broken_model(figures: Figures) -> str:
    """The broken model beside its neighbours, and what the platform did about it; needs ``figures.broken_model``."""
    models = list(figures.live_models.frame.itertuples(index=False))
    place = next(number for number, model in enumerate(models) if model.model == figures.broken_model)
    broken, neighbours = models[place], models[max(place - 1, 0) : place] + models[place + 1 : place + 2]
    return (
        f"{broken.model} was trained on shuffled weather columns. Its held-out AUC of {broken.held_out_auc:.3f} hid that, since "
        f"the held-out week came through the same broken reader, and the policy deployed it. While it was live its AUC was "
        f"{broken.auc:.3f} (its neighbours' {_each(neighbours, 'auc')}), its accuracy {broken.accuracy:.3f} "
        f"({_each(neighbours, 'accuracy')}), and it called {broken.predicted_late:.0%} of the flights late "
        f"({_each(neighbours, 'predicted_late', '.0%')}). {_alerts(figures)}"
    )


def _alerts(figures: Figures) -> str:
    """Alerts that fired while it was live."""
    deployments, alerts = figures.deployments.frame, figures.alerts.frame
    live = deployments[deployments["model"] == figures.broken_model].iloc[0]
    fired = alerts[(alerts["fired"] >= live["live_from"]) & ~(alerts["fired"] >= live["live_to"])]
    if fired.empty:
        return "No alert fired."
    settled = int(fired["settled_by_new_model"].sum())
    return f"{len(fired)} alerts fired, the first on {cell(fired['fired'].min())}; a new model settled {settled} of them."


def _each(models: list[Any], column: str, form: str = ".3f") -> str:
    return " and ".join(format(getattr(model, column), form) for model in models)
