"""Pictures show what the capture holds."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from parallelm.mlops import mlops
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.time_capture._bins import aligned
from parallelm.mlops.time_capture.plot_functions import PlotFunctions
from tests.producers.time_capture.captures import EVENTS, INFER, TRAIN, whole_capture, write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.mlops.time_capture import TimeCapture


@pytest.fixture
def plots(capture: TimeCapture) -> Iterator[PlotFunctions]:
    plt.switch_backend("Agg")
    yield PlotFunctions(capture)
    plt.close("all")


def drawn(figure: Any) -> dict[str, list[float]]:
    (axes,) = figure.axes
    return {
        line.get_label(): list(line.get_ydata())
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }


def test_a_line_for_each_label(plots: PlotFunctions) -> None:
    (figure,) = plots.line_plot("pipelinestat.count")
    assert drawn(figure) == {"pipelinestat.count": [30000.0, 60000.0]}
    assert figure.axes[0].get_title() == f"pipelinestat.count\n{INFER}"
    (figure,) = plots.line_plot("latency")
    assert drawn(figure) == {"median": [12.5], "worst": [81.0]}


def test_a_figure_for_each_file_and_a_line_for_each_bin(plots: PlotFunctions) -> None:
    figures = plots.line_plot("distance")
    assert [figure.axes[0].get_title() for figure in figures] == [f"distance\n{INFER}", f"distance\n{TRAIN}"]
    assert set(drawn(figures[0])) == {
        "-inf to -25.9763",
        "-25.9763 to -0.0067",
        "-0.0067 to 20.769",
        "20.769 to +inf",
    }


def test_lines_carry_the_alerts_and_models_of_their_time(plots: PlotFunctions) -> None:
    (figure,) = plots.line_plot("pipelinestat.count")  # from second 10 to 20
    assert [text.get_text() for text in figure.axes[0].texts] == ["Alert", "ModelAccepted"]


def test_bars_of_the_last_reports_side_by_side(plots: PlotFunctions) -> None:
    (figure,) = plots.bar_plot("distance")
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert heights == [[0.25] * 4, [0.25] * 4]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][1] == "-25.9763\nto\n-0.0067"
    (figure,) = plots.bar_plot("pipelinestat.count")
    assert [bar.get_height() for bar in figure.axes[0].containers[0]] == [60000.0]


def test_graphs_with_their_marks_and_without_missing_points(plots: PlotFunctions) -> None:
    (figure,) = plots.multigraph_plot()
    lines = drawn(figure)
    assert lines["b"] == [1.0, 2.0, 3.0]
    assert lines["a"] == [4.0, 6.0]
    assert {"cut", "goal"} <= set(lines)
    assert figure.axes[0].get_xlabel() == "share"


def test_tables_are_printed(plots: PlotFunctions, capsys: pytest.CaptureFixture[str]) -> None:
    plots.print_matrix()
    out = capsys.readouterr().out
    assert out.startswith(f"{TRAIN}\nconfusion, 2018-08-09 08:30:40.52")
    assert [line.split() for line in out.splitlines()[2:5]] == [["0", "1"], ["0", "5", "1"], ["1", "2", "7"]]


def test_bins_are_shortened_for_the_eye(plots: PlotFunctions, capture: TimeCapture) -> None:
    found = capture.get_stats("distance")
    assert found is not None
    bins, upright = plots.hist_bin_adapt(found)
    assert bins == ["-inf to -25.9763", "-25.9763 to -0.0067", "-0.0067 to 20.769", "20.769 to +inf"]
    assert upright[0] == "-inf\nto\n-25.9763"
    with pytest.raises(MLOpsException, match="has no histograms"):
        plots.hist_bin_adapt(found[:0])


def test_bins_are_aligned(plots: PlotFunctions) -> None:
    frame = pd.DataFrame(
        {
            "keys": [["-inf to 0", "0 to 2", "2 to 4"], ["1 to 2", "2 to +inf"]],
            "values": [[9, 0.5, 0.5], [1.0, 9]],
        }
    )
    found = plots.align_bins(frame)
    assert found["keys"][0] == found["keys"][1] == ["0.0 to 1.0", "1.0 to 2.0", "2.0 to 4.0"]
    assert list(found["values"]) == [[0.25, 0.25, 0.5], [0, 1.0, 0]]
    assert frame["keys"][1] == ["1 to 2", "2 to +inf"]

    categories = pd.DataFrame({"keys": [["a", "b"], ["b", "c"]], "values": [[1, 2], [3, 4]]})
    found = plots.align_bins(categories)
    assert list(found["keys"]) == [["a", "b", "c"]] * 2
    assert list(found["values"]) == [[1, 2, 0], [0, 3, 4]]


@given(
    st.lists(
        st.lists(st.integers(-50, 50), min_size=2, max_size=8, unique=True).map(sorted),
        min_size=1,
        max_size=4,
    )
)
def test_aligned_ranges_keep_each_rows_weight(rows: list[list[int]]) -> None:
    histograms: list[tuple[list[Any], list[Any]]] = [
        ([f"{low} to {high}" for low, high in pairwise(edges)], [1.0] * (len(edges) - 1)) for edges in rows
    ]
    found = aligned(histograms)
    assert all(bins == found[0][0] for bins, _ in found)
    for (_, heights), (_, before) in zip(found, histograms, strict=True):
        assert sum(heights) == pytest.approx(sum(before))


def test_what_cannot_be_drawn_is_refused(plots: PlotFunctions) -> None:
    with pytest.raises(MLOpsException, match="has no statistic 'nothing'; it has: distance"):
        plots.line_plot("nothing")
    with pytest.raises(MLOpsException, match="'confusion' holds dict instead of numbers"):
        plots.line_plot("confusion")
    with pytest.raises(MLOpsException, match="'lift' holds str instead of numbers"):
        plots.bar_plot("lift")


def test_captures_without_events_are_drawn_without(tmp_path: Path) -> None:
    files = whole_capture()
    del files[EVENTS]
    capture = mlops.load_time_capture(write_tar(tmp_path / "c.tar", files))
    (figure,) = PlotFunctions(capture).line_plot("pipelinestat.count")
    assert not figure.axes[0].texts
    plt.close("all")
    capture.done()


def test_without_matplotlib_the_message_says_what_to_install(
    plots: PlotFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MLOpsException, match="pip install matplotlib"):
        plots.line_plot("distance")
