"""``mcenter correlate``: find the statistics that move with a KPI."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import Literal

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.time_option import TIME


@click.command()
@click.argument("kpi")
@click.option("--mlapp", "mlapp_id", help="Only the KPI and statistics of this MLApp.")
@click.option(
    "--label", "labels", type=KEY_VALUE, multiple=True, help="Only KPI points with this label; repeatable."
)
@click.option("--kpi-sum", is_flag=True, help="Sum several KPI points of a bucket; else they are averaged.")
@click.option("--bucket", default="1D", show_default=True, help="Width of a bucket: 1D, 7D, 6h, 30min, …")
@click.option(
    "--max-lag",
    default=7,
    show_default=True,
    help="Let statistics come up to so many buckets before the KPI.",
)
@click.option(
    "--sum", "sums", metavar="STATISTIC", multiple=True, help="Sum this statistic over a bucket; repeatable."
)
@click.option(
    "--mean", "means", metavar="STATISTIC", multiple=True, help="Average this statistic; repeatable."
)
@click.option(
    "--correction",
    type=click.Choice(["holm", "fdr_bh"]),
    default="holm",
    show_default=True,
    help="For the number of tests.",
)
@click.option(
    "--min-points", default=10, show_default=True, help="Leave out what shares fewer buckets with the KPI."
)
@click.option(
    "--from",
    "start",
    type=TIME,
    help="Only KPI points from this time on: 2026-03-01 (UTC), or with hours and zone.",
)
@click.option("--to", "end", type=TIME, help="Only KPI points before this time.")
@click.option("--all-lags", is_flag=True, help="Show every lag, not only the best of a series.")
@click.option("--top", default=20, show_default=True, help="Show so many rows; 0: all.")
@result_options
def correlate(
    kpi: str,
    mlapp_id: str | None,
    labels: tuple[tuple[str, str], ...],
    bucket: str,
    max_lag: int,
    sums: tuple[str, ...],
    means: tuple[str, ...],
    correction: str,
    min_points: int,
    top: int,
    start: str | None,
    end: str | None,
    format_: str,
    output: Path | None,
    *,
    kpi_sum: bool,
    all_lags: bool,
) -> None:
    """Find the statistics that move with KPI, the surest first.

    Counts are summed over a bucket, everything else is averaged; a count is a statistic whose name says so (count,
    total, number, num) and whose values are whole. Each series is tested raw and differenced (changes from bucket to
    bucket), with a lag by which it comes before the KPI. n_effective and p respect autocorrelation, p_adjusted also
    the number of tests.
    """
    from parallelm.warehouse.queries import correlate as find

    settings = load_settings()
    aggregations: dict[str, Literal["sum", "mean"]] = dict.fromkeys(sums, "sum")
    aggregations |= dict.fromkeys(means, "mean")
    with reported_in_one_line(settings):
        found = find(
            settings,
            kpi,
            mlapp_id=mlapp_id,
            labels=dict(labels),
            kpi_aggregation="sum" if kpi_sum else "mean",
            bucket=bucket,
            max_lag=max_lag,
            aggregations=aggregations,
            correction="fdr_bh" if correction == "fdr_bh" else "holm",
            min_points=min_points,
            all_lags=all_lags,
            start=start,
            end=end,
        )
    write_result(found.head(top) if top else found, format_, output)
