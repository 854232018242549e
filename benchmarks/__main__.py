"""Run every benchmark: each module of this folder that has a ``main``. Names as arguments choose some of them."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
        if module.name != "__main__"
    )


def run(wanted: list[str]) -> None:
    """Run the named benchmarks, or all; ends with an error when a name is unknown."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are: {', '.join(names())}")
    # Each reads its own options; these names are not among them.
    del sys.argv[1:]
    for name in wanted or names():
        module = importlib.import_module(f"benchmarks.{name}")
        if hasattr(module, "main"):
            print(f"== {name}: {(module.__doc__ or '').strip().splitlines()[0]}", flush=True)
            module.main()


if __name__ == "__main__":
    run(sys.argv[1:])
