"""``mcenter demo``: replay a year of flights through the platform."""

from __future__ import annotations

from pathlib import Path

import click

from parallelm.mcenter.demo.replay import BROKEN_MONTH
from parallelm.mcenter.stack_options import data_option
from parallelm.supervision.service_frame import interruptible


@click.command()
@click.option(
    "--days", type=click.IntRange(35, 365), default=365, show_default=True, help="Days of 2013 to replay."
)
@click.option(
    "--broken-month",
    type=click.Choice([f"2013-{month:02}" for month in range(3, 13)]),
    default=BROKEN_MONTH,
    show_default=True,
    metavar="YYYY-MM",
    help="Month whose model is trained on shuffled weather columns.",
)
@click.option("--keep", is_flag=True, envvar="KEEP", help="Leave the stack running afterwards (or KEEP=1).")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for timeline.png and report.html.",
)
@data_option
def demo(days: int, broken_month: str, output: Path, folder: Path, *, keep: bool) -> None:
    """Replay the flights that left New York in 2013 through the whole platform.

    A model of late arrivals is trained each month and first tried on a canary; the broken one is rolled back there. Of
    one airport a person approves the models. Alerts fire; KPIs come in weeks later. What was live when, what it did, and what moved with the on-time rate is read
    back from ClickHouse. It starts its own stack on fresh data and takes two to three minutes; the first start downloads
    Kafka, later ones need no network. The data folder of an earlier demo is deleted
    with everything in it; a folder that another stack made is refused.
    """
    from rich.console import Console

    from parallelm.mcenter.demo.run import Demo

    with interruptible():
        Demo(days=days, broken_month=broken_month, keep=keep, output=output, folder=folder).run(Console())
