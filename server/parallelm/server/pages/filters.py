"""How values read on a page."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parallelm.definitions.durations import format_duration
from parallelm.operations.json_values import is_missing, plain, scalar_text
from parallelm.schemas.times import TimeError, ceil_ms, time_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MANY: Final = 10_000
_MINUTE_S: Final = 60
_FEW_S: Final = 10
_UNITS: Final = 2
_PAIR: Final = re.compile(r"'((?:[^'\\]|\\.)*)':'((?:[^'\\]|\\.)*)'")
_KILO: Final = 1000
_LONG_LINE: Final = 2_000
_FOR_TERMINALS: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
"""Escape sequences of ECMA-48: colours and movements of the cursor, titles of windows, device strings, the rest."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SHOWN_BESIDE: Final = frozenset({"alertname", "mlapp", "severity", "node", "statistic"})
_OF_THE_ORIGIN: Final = frozenset({"agent", "pipeline", "model"})


def local_time(value: Any, zone: str = "UTC") -> str:
    """A moment in the viewer's zone, to the second; empty where there is none."""
    if is_missing(value):
        return ""
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(int(value) / 1000, UTC)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{moment.astimezone(zone_of(zone)):%Y-%m-%d %H:%M:%S}"


def clock_time(value: Any, zone: str = "UTC") -> str:
    """The time of day of a moment, in the viewer's zone."""
    return local_time(value, zone)[-8:]


def lasting(seconds: float) -> str:
    """How long something lasts, in its two largest units: ``3 h 20 min``."""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s" if 0 < seconds < _FEW_S else f"{seconds:.0f} s"
    left, found = int(seconds), list[str]()
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size_s)
        if count and len(found) < _UNITS:
            found.append(f"{count} {unit}")
        elif found:
            break
    return " ".join(found)


def iso_time(value: Any) -> str:
    """A moment for ``<time datetime>``."""
    if is_missing(value):
        return ""
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(int(value) / 1000, UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def wall_time(value: int | None, zone: str = "UTC") -> str:
    """Epoch milliseconds for ``<input type="datetime-local">``, in the viewer's zone."""
    return "" if value is None else local_time(value, zone).replace(" ", "T")


def wall_of_text(text: str, zone: str = "UTC") -> str:
    """As ``wall_time``, of a time as an address has it; empty for what is none."""
    try:
        return wall_time(ceil_ms(time_ns(text)), zone) if text else ""
    except TimeError:
        return ""


def number(value: Any) -> str:
    """Short: whole numbers with thin spaces, others with four digits; a dash where there is none."""
    if is_missing(value) or math.isnan(value):
        return "-"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}".replace(",", "\u202f") if abs(value) >= _MANY else str(int(value))
    return f"{float(value):.4g}"


def percent(value: Any) -> str:
    """A share with its sign: ``+3.2 %``; a dash where it is not known."""
    return "-" if is_missing(value) or math.isnan(value) else f"{value:+.1%}".replace("%", " %")


def labels(value: Mapping[str, str] | None) -> str:
    """Labels as ``key=value``, with commas; those without a value are left out."""
    return ", ".join(f"{key}={each}" for key, each in (value or {}).items() if each)


def size(value: Any) -> str:
    """Bytes, in the unit in which they are read."""
    count = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if count < _KILO or unit == "GB":
            break
        count /= _KILO
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def map_labels(text: str) -> str:
    """Labels that ClickHouse has made a text of, ``{'feature':'age'}``, as ``labels`` shows them."""
    return ", ".join(f"{key}={value}" for key, value in _PAIR.findall(text))


def written(value: Any) -> str:
    """A text as it is, and any other value as JSON."""
    return value if isinstance(value, str) else as_json(value)


def log_text(line: str) -> str:
    """A line of a log as people read it: without what is meant for terminals, and only so long."""
    plain_line = _FOR_TERMINALS.sub("", line)
    # A progress bar writes over itself: what stands there at last counts.
    plain_line = next((each for each in reversed(plain_line.split("\r")) if each), "")
    plain_line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", plain_line)
    if len(plain_line) <= _LONG_LINE:
        return plain_line
    return f"{plain_line[:_LONG_LINE]} … {len(plain_line) - _LONG_LINE} more characters"


def addressed(query: Iterable[tuple[str, str]]) -> str:
    """Pairs as the query of an address."""
    return urlencode(list(query))


def pair_address(chosen: Any, row: Mapping[str, Any], shown: Any) -> str:
    """What asks for the scatter of a KPI and a statistic: a row of its correlations."""
    return addressed(
        [
            ("name", chosen.name),
            ("label", chosen.label),
            ("aggregation", chosen.aggregation),
            ("bucket", chosen.bucket),
            ("timezone", chosen.timezone),
            ("statistic", row["statistic"]),
            ("node_id", row["node_id"]),
            ("series", as_json(row["labels"])),
            ("lag", str(row["lag"])),
            *shown.written,
        ]
    )


def own_labels(value: Mapping[str, str]) -> dict[str, str]:
    """Labels of an alert without those that stand beside them (its rule, MLApp, node and severity), those of its origin last."""
    keys = sorted(value, key=lambda key: key in _OF_THE_ORIGIN)
    return {key: value[key] for key in keys if key not in _SHOWN_BESIDE and value[key]}


def number_or_none(value: Any) -> str:
    """As ``number``, and nothing where there is no finite number."""
    return "" if is_missing(value) or not math.isfinite(value) else number(value)


def as_json(value: Any) -> str:
    """For an attribute that a script reads."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def zone_of(name: str) -> ZoneInfo:
    """A time zone; UTC for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: too long for a name of a file
        return ZoneInfo("UTC")


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "local_time": local_time,
    "iso_time": iso_time,
    "clock_time": clock_time,
    "lasting": lasting,
    "wall_time": wall_time,
    "wall_of_text": wall_of_text,
    "number": number,
    "percent": percent,
    "number_or_none": number_or_none,
    "labels": labels,
    "own_labels": own_labels,
    "size": size,
    "addressed": addressed,
    "log_text": log_text,
    "pair_address": pair_address,
    "map_labels": map_labels,
    "written": written,
    "as_json": as_json,
    "duration": format_duration,
    "text": scalar_text,
}
