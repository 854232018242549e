"""``mcenter alerts silences``: list silences."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.silence_options import shown_time

if TYPE_CHECKING:
    from parallelm.schemas.records import Silence


@click.command()
@click.option("--all", "also_ended", is_flag=True, help="Also those that ended in the last days.")
@result_options
def silences(format_: str, output: Path | None, *, also_ended: bool) -> None:
    """List silences: in force, to come, and with --all those that ended."""
    import pandas as pd

    from parallelm.operations.silences import list_silences

    now_ms = time.time_ns() // 1_000_000
    rows = [
        _row(each, now_ms)
        for each in list_silences(load_settings())
        if also_ended or each.ends_at_ms > now_ms
    ]
    columns = ["silence_id", "state", "matchers", "starts_at", "ends_at", "who", "comment"]
    write_result(pd.DataFrame(rows, columns=columns), format_, output)


def _row(silence: Silence, now_ms: int) -> dict[str, object]:
    from parallelm.operations.silences import matchers_of

    state = (
        "ended"
        if silence.ends_at_ms <= now_ms
        else "to come"
        if silence.starts_at_ms > now_ms
        else "in force"
    )
    return {
        "silence_id": silence.silence_id,
        "state": state,
        "matchers": ", ".join(str(matcher) for matcher in matchers_of(silence)),
        "starts_at": shown_time(silence.starts_at_ms),
        "ends_at": shown_time(silence.ends_at_ms),
        "who": silence.who,
        "comment": silence.comment,
    }
