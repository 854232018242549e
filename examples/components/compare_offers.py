"""The other half of the A/B pair: does variant b of ``offer_predictor.py`` sell more than variant a?

Connected, it reads the totals that nodes ``offer-a`` and ``offer-b`` reported in the last hours. Stand-alone there is
no platform to query: pass the totals.
"""

import argparse
from datetime import UTC, datetime, timedelta

from parallelm.mlops import mlops
from parallelm.mlops.examples.ab_testing_base import ConversionTest, ab_test, report_test
from parallelm.mlops.examples.utils import RunModes


def main() -> None:
    """Compare and report: the curves of both rates, a table, whether b won, and an alert if it did."""
    options = parse_options()
    now = datetime.now(UTC)
    mlops.init()
    if options.totals:
        result = ConversionTest(*options.totals)
        report_test(result, options.confidence, options.uplift, (options.nodeA, options.nodeB))
    else:
        ab_test(options, now - timedelta(hours=options.hours), now, RunModes.PYTHON)
    mlops.done()


def parse_options() -> argparse.Namespace:
    """Options under the names that the comparator expects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodeA", default="offer-a")
    parser.add_argument("--nodeB", default="offer-b")
    parser.add_argument("--confidence", type=int, choices=[90, 95, 99], default=95)
    parser.add_argument("--uplift", type=float, default=5, help="improvement in percent that counts")
    parser.add_argument("--hours", type=float, default=6)
    parser.add_argument(
        "--totals", type=int, nargs=4, metavar=("SAMPLES_A", "CONVERSIONS_A", "SAMPLES_B", "CONVERSIONS_B")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
