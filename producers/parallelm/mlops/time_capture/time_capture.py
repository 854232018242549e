"""``TimeCapture``: answers the queries of ``mlops`` from a timeline capture."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import refusing_call
from parallelm.mlops.time_capture._live import LIVE_CALLS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from parallelm.mlops.ion.ion import Agent
    from parallelm.schemas.times import Time


class TimeCapture:
    """A timeline capture, read from its tar: the MLApp, its statistics, events, system statistics and aggregates.

    Needs pandas, but no platform and no ``init()``. Times in frames are nanoseconds since 1970 (``time``) and UTC
    without a zone (``datetime``). Raises ``MLOpsException`` for what is not a capture. Calls of ``mlops`` that need a live
    system also raise ``MLOpsException``.
    """

    @refusing_call
    def __init__(self, input_timeline_capture: str | Path) -> None:
        try:
            import pandas as pd  # noqa: F401 - checked before anything is unpacked
        except ImportError as error:
            raise MLOpsException(
                f"a timeline capture needs pandas: pip install 'mcenter-stream[metrics]' ({error})"
            ) from error
        archive = Path(input_timeline_capture)
        unpacked = Path(tempfile.mkdtemp(prefix="timeline-capture-"))
        self._remove = weakref.finalize(self, shutil.rmtree, unpacked, ignore_errors=True)
        try:
            self._read(archive, unpacked)
        except BaseException:
            self._remove()
            raise

    def _read(self, archive: Path, unpacked: Path) -> None:
        from parallelm.mlops.time_capture._details import read_details
        from parallelm.mlops.time_capture._statistics import read_statistics
        from parallelm.mlops.time_capture._tables import EVENTS, read_table
        from parallelm.schemas.captures import CaptureArchive
        from parallelm.schemas.captures.names import EXPORT
        from parallelm.schemas.errors import CaptureFileError

        try:
            with CaptureArchive(archive) as checked:
                checked.extract(unpacked, EXPORT)
        except CaptureFileError as error:
            raise MLOpsException(str(error)) from error
        self._folder = unpacked / EXPORT
        if not self._folder.is_dir():
            raise MLOpsException(f"{str(archive)!r} is not a timeline capture: it has no folder {EXPORT}/")
        self._files = sorted(file for file in self._folder.iterdir() if file.is_file())
        self._details = read_details(self._folder)
        statistics = self._of_kind("Ion-stats")
        if not statistics:
            raise MLOpsException(f"{str(archive)!r} has no file mlopsdb-Ion-stats-….csv")
        self._statistics = read_statistics(statistics)
        self._events = [read_table(file, EVENTS) for file in self._of_kind("events")]
        self._system = {file.name: read_table(file) for file in self._of_kind("Ion-sysstats")}
        self._aggregates = {file.name: read_table(file) for file in self._of_kind("aggregates")}

    def _of_kind(self, kind: str) -> list[Path]:
        return [
            file for file in self._files if file.name.startswith(f"mlopsdb-{kind}-") and file.suffix == ".csv"
        ]

    # ---- the MLApp ----------------------------------------------------------------------------------------------

    def get_mlapp_id(self) -> str:
        """Id of the MLApp."""
        return self._details.mlapp_id

    def get_mlapp_policy(self) -> str:
        """Model policy of the MLApp, such as "ALWAYS_UPDATE"."""
        return self._details.policy

    def get_nodes(self) -> list[Any]:
        """Ids of the pipelines.

        In captures with ``MLApp-details.txt`` each is ``[pipeline instance id, type, name]``.
        """
        return list(self._details.nodes)

    # ---- statistics and events ----------------------------------------------------------------------------------

    def get_stats(
        self,
        name: str,
        mlapp_node: str | None = None,
        agent: str | Agent | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        no_of_lines: int = -1,
        api_test_mode: bool = False,
    ) -> pd.DataFrame | None:
        """Reports of a statistic: ``Name, time, datetime, keys, values, FileName``, in order of time.

        ``keys`` and ``values`` are lists: names of lines and their numbers, bins (as "a to b") or categories and their
        heights, names of rows and the rows as dicts, keys of a graph's JSON and what they hold. Of several histograms
        reported together each is a row with its own ``Name``; both names find it. ``mlapp_node`` (id of a pipeline
        instance), ``agent`` and the times, as of ``mlops.get_stats``, narrow the answer; with ``no_of_lines``
        only that many of the last rows. An unknown statistic gives an empty frame. With ``api_test_mode`` the arguments are
        checked and nothing is read: None.
        """
        found = self._reports(name, start_time, end_time)
        if mlapp_node is not None:
            self._check_node(mlapp_node)
            found = found[found["node"] == mlapp_node]
        if agent is not None:
            found = found[found["agent"] == _agent_name(agent)]
        if api_test_mode:
            return None
        return _public(found if no_of_lines < 0 else found.tail(no_of_lines))

    def get_kpi(
        self, name: str, start_time: Time | None = None, end_time: Time | None = None
    ) -> pd.DataFrame:
        """Points of a KPI in a range of times, in the columns of ``get_stats``."""
        found = self._reports(name, start_time, end_time)
        return _public(found[found["part"] == "KPI"])

    def get_events(
        self,
        type: Any = None,  # noqa: A002 - the public contract's name
        mlapp_node: str | None = None,
        agent: str | Agent | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        is_alert: bool | None = None,
        api_test_mode: bool = False,
    ) -> pd.DataFrame | None:
        """Events, all columns of their file and ``datetime``, in its order; an empty frame when there are none.

        ``type``, ``agent`` (host) and a range of times filter them. As in the original library, alerts and other events are
        returned unless ``is_alert`` is given. A capture has no node for events, so ``mlapp_node`` raises ``MLOpsException``.
        With ``api_test_mode`` the arguments are checked and nothing is read: None.
        """
        import pandas as pd

        from parallelm.mlops.events.event_type import type_name

        if mlapp_node is not None:
            raise MLOpsException(
                "get_events by mlapp_node is not available: a timeline capture does not contain the nodes of events"
            )
        if not self._events:
            raise MLOpsException("the capture has no file mlopsdb-events-….csv")
        found = _between(pd.concat(self._events, ignore_index=True), start_time, end_time)
        if type is not None:
            found = found[found["eventType"] == type_name(type)]
        if agent is not None:
            found = found[found["host"] == _agent_name(agent)]
        if is_alert is not None:
            found = found[(found["raiseAlert"] == 1) == is_alert]
        return None if api_test_mode else found.reset_index(drop=True)

    def get_attribute_names_list(self) -> list[str]:
        """Names of all statistics, and of histograms that were reported together, in order of their first report."""
        reports = self._statistics
        names = [name for pair in zip(reports["statistic"], reports["Name"], strict=True) for name in pair]
        return list(dict.fromkeys(names))

    # ---- by file ------------------------------------------------------------------------------------------------

    def get_file_names(self) -> list[str]:
        """Names of all files of the capture."""
        return [file.name for file in self._files]

    def get_matrix_df_file(self) -> dict[str, pd.DataFrame]:
        """Tables by file, in the columns of ``get_stats``: names of rows as keys, rows as values."""
        return self._by_file("matrix")

    def get_multigraph_df_file(self) -> dict[str, pd.DataFrame]:
        """General graphs by file, in the columns of ``get_stats``."""
        return self._by_file("multigraph")

    def get_sys_stat_df_file(self) -> dict[str, pd.DataFrame]:
        """System statistics by file: the file's columns, and ``datetime``."""
        return {name: frame.copy() for name, frame in self._system.items()}

    def get_aggregate_df_file(self) -> dict[str, pd.DataFrame]:
        """Aggregates of the MLApp by file: the file's columns, and ``datetime``."""
        return {name: frame.copy() for name, frame in self._aggregates.items()}

    def save_to_output(self, output_dir: str | Path) -> None:
        """Write the capture's files into a directory, and its statistics by kind of graph.

        The latter as ``<file>_bargraph.csv``, ``_multilinegraph``, ``_heatmap``, ``_multigraph``, ``_matrix``, ``_KPI``,
        in the columns of ``get_stats``; a kind that a file does not have is left out.
        """
        from parallelm.mlops.time_capture._statistics import PARTS

        if not self._remove.alive:
            raise MLOpsException("the files of the capture were removed by done(): load it again")
        parts = {part: self._by_file(part) for part in PARTS}
        target = Path(output_dir)
        try:
            target.mkdir(parents=True, exist_ok=True)
            for file in self._files:
                shutil.copyfile(file, target / file.name)
            for part, frames in parts.items():
                for file_name, frame in frames.items():
                    frame.to_csv(target / f"{file_name}_{part}.csv", index=False)
        except OSError as error:
            raise MLOpsException(f"the capture cannot be written to {str(output_dir)!r}: {error}") from error

    def done(self) -> None:
        """Remove the unpacked files; frames stay valid. The interpreter also does this at exit."""
        self._remove()

    # ---- within -------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name not in LIVE_CALLS:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

        def unavailable(*_: Any, **__: Any) -> NoReturn:
            raise MLOpsException(f"{name} is not available: a timeline capture has no live system behind it")

        return unavailable

    def _reports(self, name: str, start: Time | None, end: Time | None) -> pd.DataFrame:
        if not isinstance(name, str):
            raise MLOpsException(f"the name of a statistic must be a string, not {type(name).__name__}")
        reports = _between(self._statistics, start, end)
        return reports[(reports["statistic"] == name) | (reports["Name"] == name)]

    def _by_file(self, part: str) -> dict[str, pd.DataFrame]:
        reports = self._statistics
        of_part = reports[reports["part"] == part]
        return {str(name): _public(frame) for name, frame in of_part.groupby("FileName")}

    def _check_node(self, node: str) -> None:
        ids = {node if isinstance(node, str) else node[0] for node in self._details.nodes}
        known = sorted({*ids, *self._statistics["node"]})
        if node not in known:
            raise MLOpsException(f"the capture has no node {node!r}; it has: {', '.join(known)}")


def _public(reports: pd.DataFrame) -> pd.DataFrame:
    from parallelm.mlops.time_capture._statistics import COLUMNS

    return reports[COLUMNS].reset_index(drop=True)


def _agent_name(agent: str | Agent) -> str:
    from parallelm.mlops.ion.ion import Agent

    if isinstance(agent, Agent):
        return agent.hostname
    if not isinstance(agent, str):
        raise MLOpsException(f"an agent must be an Agent or its name, not {type(agent).__name__}")
    return agent


def _between(frame: pd.DataFrame, start: Time | None, end: Time | None) -> pd.DataFrame:
    from parallelm.mlops._session.event_time import parse_range_ms

    first_ms, last_ms = parse_range_ms(start, end)
    moments_ms = frame["time"] // 1_000_000
    if first_ms is not None:
        frame = frame[moments_ms >= first_ms]
    if last_ms is not None:
        frame = frame[moments_ms.loc[frame.index] < last_ms]
    return frame
