"""Every environment variable that begins with ``MCENTER_``: settings, the few that are not settings, and mistakes.

The prefix is reserved. Two kinds of names are never looked at: those of other programs that begin with ``MCENTER_X_``,
and those that Kubernetes sets in a pod for a service whose name begins with ``mcenter`` (``MCENTER_KAFKA_SERVICE_HOST``,
``MCENTER_CLICKHOUSE_PORT=tcp://…``).
"""

from __future__ import annotations

import difflib
import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "MCENTER_"
FOREIGN_PREFIX = "MCENTER_X_"

NOT_SETTINGS = {
    "MCENTER_CONFIG": "settings file to read instead of searching for one",
    "MCENTER_CACHE": "folder of what the local stack downloads",
    "MCENTER_EVENT_TIME": "event time of all reports of a component",
    "MCENTER_READY_FILE": "file that a service touches when it is ready",
    "MCENTER_METRICS_PORT": "port on which a service serves its metrics and health",
    "MCENTER_METRICS_HOST": "address of that port; 127.0.0.1 when it is not set",
    "MCENTER_ENGINE_PASSWORD": "password of the local engine's administrator",
    "MCENTER_ENGINE_READER_PASSWORD": "password of the local engine's reader",
    "MCENTER_RUN_ID": "run of an agent to which a program belongs",
    "MCENTER_RUN_FOLDER": "folder of that run",
    "MCENTER_RUN_ATTEMPT": "attempt of that run, from 1",
    "MCENTER_NODE_INSTANCE": "number of the program among the parallel ones of its node, from 0",
    "MCENTER_WORK_FOLDER": "folder of the run for what its programs write",
    "MCENTER_MODEL_PATH": "file or folder of the model that the run has",
    "MCENTER_RUN_ROOT": "folder of runs in a Pod",
    "MCENTER_RUN_SPECIFICATION": "what a Pod is to run, as JSON",
    "MCENTER_TEST_CONFIG": "settings file of a running platform for the tests",
    "MCENTER_TEST_DISTRIBUTION": "folder with the sdist and the wheel that the tests install",
    "MCENTER_BENCH_CONFIG": "settings file of a running platform for the benchmarks",
    "MCENTER_BENCH_CASES": "cases that the benchmark impact simulates",
    "MCENTER_BENCH_DATA_SETS": "data sets of a cell that the benchmark correlate simulates, 0 for none",
    "MCENTER_WRITE_GOLDEN": "makes the tests write the golden files and the names that users depend on",
}
"""Variables of ours that are not settings, with their purpose."""

OF_STEPS = ("MCENTER_INPUT_", "MCENTER_OUTPUT_")
"""Prefixes of variables with the paths of what a step of a pipeline reads and writes."""

_KUBERNETES = re.compile(
    r"MCENTER(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_KUBERNETES_ADDRESS = re.compile(r"(tcp|udp|sctp)://")

_log = logging.getLogger("parallelm.connections")
_warned: set[str] = set()


def is_set_by_kubernetes(name: str, value: str) -> bool:
    """Whether a variable describes a Kubernetes service and is not a setting."""
    return bool(_KUBERNETES.fullmatch(name) or (name.endswith("_PORT") and _KUBERNETES_ADDRESS.match(value)))


def misspelt(environ: Mapping[str, str], settings: Iterable[str]) -> list[str]:
    """A sentence on each variable with our prefix that is neither in ``settings`` nor another one of ours."""
    known = {*settings, *NOT_SETTINGS}
    return [
        f"{name} is not a setting{did_you_mean(name, known, prefix=PREFIX)}"
        for name, value in sorted(environ.items())
        if name.upper().startswith(PREFIX)
        and not name.startswith((FOREIGN_PREFIX, *OF_STEPS))
        and name not in known
        and not is_set_by_kubernetes(name, value)
    ]


def warn_once(sentences: Iterable[str]) -> None:
    """Log each sentence as a warning, the first time that this process meets it."""
    for sentence in sentences:
        if sentence not in _warned:
            _warned.add(sentence)
            _log.warning("%s; it is ignored", sentence)


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """``; did you mean …?`` with the nearest of the known names, or an empty text when none is near."""
    shortened = {each.removeprefix(prefix): each for each in known}
    wanted = name.upper() if prefix else name
    near = difflib.get_close_matches(wanted.removeprefix(prefix), shortened, n=1, cutoff=0.6)
    return f"; did you mean {shortened[near[0]]}?" if near else ""
