"""Plots of a timeline capture, with matplotlib."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.time_capture._bins import aligned, shortened
from parallelm.schemas.well_known import MODEL_ACCEPTED, MODEL_EVENT

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from parallelm.mlops.time_capture.time_capture import TimeCapture

_ALERT_INK, _MODEL_INK = "#c0392b", "#7b8794"
_MODEL_EVENTS = (MODEL_EVENT, MODEL_ACCEPTED)
_SHARE_OF_BARS = 0.8


class PlotFunctions:
    """Draws statistics of a capture as pyplot figures, which notebooks show by themselves; scripts call ``plt.show()``.

    Each call returns its figures. They need matplotlib; without it the calls raise ``MLOpsException``.
    """

    def __init__(self, mtc: TimeCapture) -> None:
        self._capture = mtc

    def line_plot(self, name: str) -> list[Figure]:
        """A statistic over time: a figure for each file, a line for each key (a bin, a label), with its events."""
        figures = []
        for (file_name, series), frame in self._found(name).groupby(["FileName", "Name"], sort=False):
            figure, axes = _figure(f"{series}\n{file_name}")
            # A key that some reports lack interrupts only its own line.
            points: dict[str, tuple[list[Any], list[Any]]] = {}
            for moment, keys, values in zip(frame["datetime"], frame["keys"], frame["values"], strict=True):
                for key, value in zip(keys, values, strict=True):
                    times, heights = points.setdefault(shortened(key), ([], []))
                    times.append(moment)
                    heights.append(_number(value, name))
            for label, (times, heights) in points.items():
                axes.plot(times, heights, marker=".", label=label)
            axes.set_xlabel("time, UTC")
            _legend(axes)
            figure.autofmt_xdate()
            figures.append(self.annotate_events(figure))
        return figures

    def bar_plot(self, name: str) -> list[Figure]:
        """The last report of a statistic as bars: the files side by side, over common bins."""
        import numpy as np

        figures = []
        frame = self._found(name)
        for series, reports in frame.groupby("Name", sort=False):
            last = self.align_bins(reports.groupby("FileName").tail(1))
            _, labels = self.hist_bin_adapt(last)
            figure, axes = _figure(str(series))
            places = np.arange(len(labels))
            width = _SHARE_OF_BARS / len(last)
            for index, (file_name, values) in enumerate(zip(last["FileName"], last["values"], strict=True)):
                heights = [_number(value, name) for value in values]
                shift = (index - (len(last) - 1) / 2) * width
                axes.bar(places + shift, heights, width, label=file_name)
            axes.set_xticks(places, labels)
            _legend(axes)
            figures.append(figure)
        return figures

    def print_matrix(self) -> None:
        """Print every table of the capture, with its file and time."""
        import pandas as pd

        for file_name, frame in self._capture.get_matrix_df_file().items():
            for name, moment, names, rows in zip(
                frame["Name"], frame["datetime"], frame["keys"], frame["values"], strict=True
            ):
                table = pd.DataFrame(rows, index=names)
                sys.stdout.write(f"{file_name}\n{name}, {moment}\n{table.to_string()}\n\n")

    def multigraph_plot(self) -> list[Figure]:
        """The last report of every general graph of every file."""
        figures = []
        for file_name, frame in self._capture.get_multigraph_df_file().items():
            for name, reports in frame.groupby("Name", sort=False):
                last = reports.iloc[-1]
                graph = dict(zip(last["keys"], last["values"], strict=True))
                figures.append(_graph(f"{name}\n{file_name}", graph))
        return figures

    def annotate_events(self, fig: Figure) -> Figure:
        """Mark the alerts and models within the time range of a figure on its axes; returns the figure."""
        from matplotlib.dates import date2num

        try:
            events = self._capture.get_events()
        except MLOpsException:
            return fig  # a capture without a file of events
        if events is None:
            return fig
        alerts = events["raiseAlert"] == 1
        marked = events[alerts | events["eventType"].isin(_MODEL_EVENTS)]
        for axes in fig.axes:
            low, high = axes.get_xlim()
            for moment, kind, raised in zip(
                marked["datetime"], marked["eventType"], marked["raiseAlert"], strict=True
            ):
                place = float(date2num(moment))  # type: ignore[no-untyped-call] # matplotlib does not say its types
                if low <= place <= high:
                    ink = _ALERT_INK if raised == 1 else _MODEL_INK
                    axes.axvline(place, color=ink, linestyle=":", linewidth=1)
                    axes.annotate(
                        kind,
                        (place, 1),
                        xycoords=axes.get_xaxis_transform(),
                        rotation=90,
                        ha="right",
                        va="top",
                        fontsize="x-small",
                        color=ink,
                    )
        return fig

    def hist_bin_adapt(self, df: pd.DataFrame) -> tuple[list[str], list[str]]:
        """Bins of a frame of ``get_stats`` with edges rounded to 4 digits, each as one line and as three lines for an axis."""
        if df.empty:
            raise MLOpsException(
                "the frame has no histograms: hist_bin_adapt needs a frame of get_stats with rows"
            )
        bins = [shortened(key) for key in self.align_bins(df)["keys"].iloc[0]]
        return bins, [key.replace(" to ", "\nto\n") for key in bins]

    def align_bins(self, df: pd.DataFrame) -> pd.DataFrame:
        """A frame of ``get_stats`` whose histograms all have the same bins.

        Categories: all of them. Ranges: all edges; split bins are divided in proportion to length, and bins that reach to
        infinity are left out. A frame that already has common bins is returned unchanged.
        """
        if df.empty:
            return df.copy()
        rows = aligned(list(zip(df["keys"], df["values"], strict=True)))
        found = df.copy()
        found["keys"] = _objects([bins for bins, _ in rows], df)
        found["values"] = _objects([heights for _, heights in rows], df)
        return found

    # ---- within -------------------------------------------------------------------------------------------------

    def _found(self, name: str) -> pd.DataFrame:
        frame = self._capture.get_stats(name)
        if frame is None or frame.empty:
            names = ", ".join(self._capture.get_attribute_names_list())
            raise MLOpsException(f"the capture has no statistic {name!r}; it has: {names}")
        return frame


def _objects(lists: list[list[Any]], like: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(lists, index=like.index, dtype=object)


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise MLOpsException(
            f"{name!r} holds {type(value).__name__} instead of numbers and cannot be drawn as a line or bar"
        ) from None


def _figure(title: str) -> tuple[Figure, Axes]:
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise MLOpsException(f"plots need matplotlib: pip install matplotlib ({error})") from error
    figure, axes = plt.subplots(figsize=(10, 5))
    axes.set_title(title, fontsize="small")
    return figure, axes


def _legend(axes: Axes) -> None:
    axes.legend(fontsize="x-small")


def _graph(title: str, graph: dict[str, Any]) -> Figure:
    try:
        x, lines = graph["x_series"], [(line["label"], line["data"]) for line in graph["y_series"]]
    except (KeyError, TypeError) as error:
        raise MLOpsException(f"{title!r} is not a graph: {error!r}") from error
    figure, axes = _figure(title)
    for label, heights in lines:
        points = [
            (at, _number(height, title)) for at, height in zip(x, heights, strict=True) if height is not None
        ]
        axes.plot([at for at, _ in points], [height for _, height in points], marker=".", label=label)
    axes.set_xlabel(graph.get("x_title", ""))
    axes.set_ylabel(graph.get("y_title", ""))
    for mark in graph.get("x_annotation") or []:
        axes.axvline(mark["value"], color=_MODEL_INK, linestyle=":", label=mark["label"])
    for mark in graph.get("y_annotation") or []:
        axes.axhline(mark["value"], color=_MODEL_INK, linestyle="--", label=mark["label"])
    _legend(axes)
    return figure
