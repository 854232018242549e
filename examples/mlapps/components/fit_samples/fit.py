"""Fit a forest to samples of wine, and publish it."""

import argparse
import tempfile
from pathlib import Path

import joblib
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, required=True)
    parser.add_argument("--samples", required=True)
    options = parser.parse_args()
    mlops.init()
    samples = pd.read_csv(options.samples)
    bottles, kinds = samples.drop(columns="target"), samples["target"]
    forest = RandomForestClassifier(options.trees).fit(bottles, kinds)
    model = mlops.Model(
        name="wines", model_format=ModelFormat.SCIKIT_LEARN_3, description="Three kinds of wine."
    )
    model.set_data_distribution_stat(bottles)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wines.joblib"
        joblib.dump(forest, path)
        model.set_model_path(str(path))
        mlops.publish_model(model)
    print(f"published a forest of {options.trees} trees, fitted to {len(samples)} bottles")
    mlops.done()


if __name__ == "__main__":
    main()
