"""Fit a forest to the wines of scikit-learn, say how good it is, and publish it."""

import argparse
import tempfile
from pathlib import Path

import joblib
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, required=True)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    mlops.init()
    wines = load_wine(as_frame=True)
    train, test, kinds, held_out = train_test_split(
        wines.data, wines.target, test_size=0.3, random_state=options.seed, stratify=wines.target
    )
    forest = RandomForestClassifier(options.trees, random_state=options.seed).fit(train, kinds)
    accuracy = mlops.metrics.accuracy_score(held_out, forest.predict(test))
    model = mlops.Model(
        name="wines", model_format=ModelFormat.SCIKIT_LEARN_3, description="Three kinds of wine."
    )
    model.set_data_distribution_stat(train)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wines.joblib"
        joblib.dump(forest, path)
        model.set_model_path(str(path))
        mlops.publish_model(model)
    print(f"published a forest of {options.trees} trees, accuracy {accuracy}")
    mlops.done()


if __name__ == "__main__":
    main()
