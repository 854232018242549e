"""Publish a model, and report something of every kind."""

import argparse
import tempfile
from pathlib import Path

from parallelm.mlops import mlops
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.bar_graph import BarGraph


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, required=True)
    latency = parser.parse_args().latency
    mlops.init()
    mlops.set_stat("latency", latency)
    mlops.set_stat("sizes", BarGraph().cols(["small", "large"]).data([3, 4]))
    mlops.set_event("trained", EventType.System, data={"latency": latency})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.txt"
        file.write_text(f"trained at latency {latency}\n", encoding="ascii")
        model = mlops.Model(name="words", model_format=ModelFormat.TEXT)
        model.set_model_path(str(file))
        mlops.publish_model(model)
    print(f"published a model at latency {latency}")  # noqa: T201 - into the log of the run
    mlops.done()


if __name__ == "__main__":
    main()
