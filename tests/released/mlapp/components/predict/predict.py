"""Report predictions of the model that the agent has brought."""

import argparse
import os
from pathlib import Path

from parallelm.mlops import mlops


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    words = Path(parser.parse_args().model).read_text(encoding="ascii")
    mlops.init()
    run_id = os.environ["MCENTER_RUN_ID"]
    mlops.predictions([f"{run_id}-{number}" for number in range(3)], [0.1, 0.5, 0.9])
    print(f"predicts with a model {words}")  # noqa: T201 - into the log of the run
    mlops.done()


if __name__ == "__main__":
    main()
