"""A component that walks all lines of the contract, and tells the file that is its argument what each printed and answered.

Between the lines that report and those that ask it waits for a line of standard input: then the rows are there.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.mlops import mlops
from tests.producers.contract.line import as_json, start
from tests.producers.contract.lines import LINES

if TYPE_CHECKING:
    from tests.producers.contract.line import Line


def walked(index: int, line: Line) -> tuple[str, str]:
    """What a line printed, and what it answered."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), mlops.event_time(start(index), "second"):
        try:
            answer = as_json(line.call())
        except Exception as error:  # noqa: BLE001 - the name of any exception is an answer, which the tests judge
            answer = as_json(type(error).__name__)
            if not type(error).__name__.startswith("MLOps"):
                answer = as_json(repr(error))
    return printed.getvalue(), answer


def main() -> None:
    """Walk."""
    walked_lines = {}
    mlops.init()
    for asks in (False, True):
        for index, (name, line) in enumerate(LINES.items()):
            if line.asks is asks:
                walked_lines[name] = walked(index, line)
        if not asks:
            print("reported", flush=True)  # noqa: T201 - the tests wait for it
            sys.stdin.readline()
    mlops.done()
    Path(sys.argv[1]).write_text(json.dumps(walked_lines))


if __name__ == "__main__":
    main()
