"""Choose some bottles of wine, and write what is in them and their kinds."""

import argparse

from sklearn.datasets import load_wine


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bottles", type=int, required=True)
    parser.add_argument("--samples", required=True)
    options = parser.parse_args()
    load_wine(as_frame=True).frame.sample(options.bottles).to_csv(options.samples, index=False)
    print(f"chose {options.bottles} bottles")


if __name__ == "__main__":
    main()
