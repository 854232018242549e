"""Tell the kinds of some bottles of wine, and report how many and what they were like."""

import argparse

import joblib
from sklearn.datasets import load_wine

from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--bottles", type=int, required=True)
    options = parser.parse_args()
    mlops.init()
    forest = joblib.load(options.model)
    bottles = load_wine(as_frame=True).data.sample(options.bottles, replace=True)
    kinds = forest.predict(bottles)
    mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(kinds))
    mlops.set_data_distribution_stat(bottles)
    print("bottles of each kind:", *(int((kinds == kind).sum()) for kind in range(3)))
    mlops.done()


if __name__ == "__main__":
    main()
