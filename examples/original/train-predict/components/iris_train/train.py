"""Fit a forest to the irises of scikit-learn, and publish it, as components of the original platform do."""

import argparse
import os
import pickle

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=10)
    parser.add_argument("--model-dir", required=True)
    options = parser.parse_args()
    mlops.init()
    irises = load_iris()
    forest = RandomForestClassifier(options.trees).fit(irises.data, irises.target)
    mlops.set_stat("trees", len(forest.estimators_))
    mlops.set_data_distribution_stat(irises.data)
    path = os.path.join(options.model_dir, "irises.pkl")
    with open(path, "wb") as file:
        pickle.dump(forest, file)
    model = mlops.Model(name="irises", model_format=ModelFormat.SCIKIT_LEARN_3)
    model.set_model_path(path)
    mlops.publish_model(model)
    print(f"published a forest of {options.trees} trees")
    mlops.done()


if __name__ == "__main__":
    main()
