"""One of an A/B pair: shows each visitor one of two offers, and counts who buys.

Variant ``a``, the baseline, draws the offer; variant ``b`` lets a model choose it. Run both, then ``compare_offers.py``.
"""

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression

from parallelm.mlops import StatCategory, mlops
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph

BATCHES, VISITORS = 10, 500


def main() -> None:
    """Serve ten batches of visitors; the running totals are what the comparator reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=["a", "b"], required=True)
    variant = parser.parse_args().variant
    mlops.init()
    mlops.set_stat("learns", variant == "b", StatCategory.CONFIG)
    rng = np.random.default_rng({"a": 1, "b": 2}[variant])
    choose = learned_choice() if variant == "b" else lambda visitors: rng.integers(0, 2, len(visitors))

    samples = conversions = 0
    for _ in range(BATCHES):
        visitors = rng.normal(size=(VISITORS, 2))
        offers = choose(visitors)
        bought = rng.random(VISITORS) < chance(visitors, offers)
        samples += VISITORS
        conversions += int(bought.sum())
        mlops.set_stat("samples", samples)
        mlops.set_stat("conversions", conversions)
        mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, VISITORS)
        shown = np.bincount(offers, minlength=2)
        mlops.set_stat(
            BarGraph().name(PredefinedStats.PREDICTION_HISTOGRAM).cols(["mug", "shirt"]).data(shown.tolist())
        )
    mlops.done()


def chance(visitors, offers):
    """The true probability, unknown to the predictor, that a visitor buys the offer."""
    taste = visitors[:, 0] + 0.3 * visitors[:, 1]
    return 1 / (1 + np.exp(1.5 - np.where(offers == 1, taste, -taste)))


def learned_choice():
    """A model of past sales: the offer that the visitor more likely buys."""
    past = np.random.default_rng(0)
    visitors, offers = past.normal(size=(4000, 2)), past.integers(0, 2, 4000)
    bought = past.random(4000) < chance(visitors, offers)
    sign = np.where(offers == 1, 1, -1)[:, None]
    model = LogisticRegression(fit_intercept=False).fit(visitors * sign, bought)
    return lambda new: (model.decision_function(new) > 0).astype(int)


if __name__ == "__main__":
    main()
