"""``mcenter lag``: list how far consumer groups are behind, and their members."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.results import result_options, write_result

_GROUPS = ["group", "members", "records", "by_topic"]
_MEMBERS = ["group", "client_id", "instance_id", "host", "partitions"]


@click.command()
@click.option("--members", is_flag=True, help="A row a member, with its host, instead of one a group.")
@result_options
def lag(format_: str, output: Path | None, *, members: bool) -> None:
    """List the consumer groups of this installation: how many members each has, and records that it has not handled yet."""
    import pandas as pd

    from parallelm.operations.lag import group_lags

    found = group_lags(load_settings())
    if members:
        rows = [{"group": group.group, **asdict(each)} for group in found for each in group.consumers]
        write_result(pd.DataFrame(rows, columns=_MEMBERS), format_, output)
        return
    write_result(pd.DataFrame([asdict(each) for each in found], columns=_GROUPS), format_, output)
