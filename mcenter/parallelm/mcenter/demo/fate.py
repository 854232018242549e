"""What became of the model that was trained on broken input, in words, from the figures that were read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.mcenter.demo.cells import cell

if TYPE_CHECKING:
    from parallelm.mcenter.demo.figures import Figures


def fate_of_broken_model(figures: Figures) -> str:
    """What the policy did about the broken model; needs ``figures.broken_model``."""
    frame = figures.decisions.frame
    rows = frame[(frame["model"] == figures.broken_model) & (frame["node"] == "predict")]
    last = rows.iloc[-1]
    live = figures.broken_model in set(figures.live_models.frame["model"])
    return (
        f"{figures.broken_model} was trained on shuffled weather columns. Its held-out AUC of {last.held_out_auc:.3f} hid that, "
        f"since the held-out week came through the same broken reader. On the canary node it was {last.state} on "
        f"{cell(last['at'])}: {last.why}. "
        + ("All flights got it." if live else "No other flight was predicted by it.")
    )
