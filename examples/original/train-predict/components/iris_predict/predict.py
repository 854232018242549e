"""Say which irises have come with the model that was brought, as components of the original platform do."""

import argparse
import pickle

import numpy as np
from sklearn.datasets import load_iris

from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flowers", type=int, default=20)
    parser.add_argument("--input-model")
    options = parser.parse_args()
    mlops.init()
    if options.input_model:
        with open(options.input_model, "rb") as file:
            forest = pickle.load(file)
        irises = load_iris()
        chosen = irises.data[np.random.randint(len(irises.data), size=options.flowers)]
        kinds = forest.predict(chosen)
        mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(kinds))
        mlops.set_data_distribution_stat(chosen)
        for kind, name in enumerate(irises.target_names):
            print(f"{name}: {(kinds == kind).sum()}")
    else:
        print("there is no model yet")
    mlops.done()


if __name__ == "__main__":
    main()
