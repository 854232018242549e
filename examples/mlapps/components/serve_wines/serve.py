"""Answer questions about wines until told to stop; take each model that is deployed, between two answers."""

import argparse
import signal
import tempfile
import threading
from pathlib import Path

import joblib
from sklearn.datasets import load_wine

from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats


def newest_forest(now):
    """The forest to go on with, and whether it is another one."""
    model = mlops.wait_for_model(0)
    if model is None:
        return now
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wines.joblib"
        model.download(str(path))
        print(f"serves with model {model.get_id()}")
        return joblib.load(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause", type=float, required=True)
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    mlops.init()
    mlops.suppress_connection_errors(True)  # a platform that does not answer ends no service
    wines, forest = load_wine(as_frame=True).data, None
    while not stop.wait(options.pause):
        forest = newest_forest(forest)
        if forest is None:
            continue
        certain = forest.predict_proba(wines.sample(20)).max(axis=1)
        mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(certain))
        mlops.set_stat("certainty", float(certain.mean()))
    mlops.done()


if __name__ == "__main__":
    main()
