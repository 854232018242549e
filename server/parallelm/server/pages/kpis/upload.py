"""A file of KPI points: read and compared before anything is sent, then sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Form, HTTPException, Request, UploadFile
from starlette.responses import HTMLResponse, Response

from parallelm.operations import kpis as operations
from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis.format import REQUIRED
from parallelm.operations.words import counted
from parallelm.schemas.errors import UndeliveredError
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._uploads import MOST_BYTES
from parallelm.server.context import context_of
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast
from parallelm.server.stored import stored

if TYPE_CHECKING:
    from parallelm.operations.kpis import ChangedPoints, KpiFile

ROUTER: Final = APIRouter(
    prefix="/mlapps/{mlapp_id}/kpis/upload", dependencies=[Depends(require("kpis.write"))]
)
_MISTAKES: Final = 100
_POINTS: Final = 10
_TOO_LARGE: Final = 413
_FORM_BYTES: Final = MOST_BYTES + 100_000
"""With what is said of the file."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file, and what its sender says of how it is written."""

    name: str
    data: bytes
    said: dict[str, Any]
    skip_bad: bool

    @property
    def digest(self) -> str:
        """Of the bytes and how they are read: what is sent is what was shown."""
        read = repr((sorted(self.said.items()), self.skip_bad)).encode()
        return hashlib.sha256(self.data + read).hexdigest()


def _sent(
    file: Annotated[UploadFile, File()],
    kpi: Annotated[str, Form(max_length=500)] = "",
    kpi_column: Annotated[str, Form(max_length=500)] = "",
    timestamp_column: Annotated[str, Form(max_length=500)] = "",
    value_column: Annotated[str, Form(max_length=500)] = "",
    ignore: Annotated[str, Form(max_length=5000)] = "",
    delimiter: Annotated[str, Form(max_length=10)] = "",
    decimal: Annotated[str, Form(max_length=1)] = "",
    thousands: Annotated[str, Form(max_length=20)] = "",
    date_format: Annotated[str, Form(max_length=100)] = "",
    unit: Annotated[str, Form(max_length=10)] = "",
    timezone: Annotated[str, Form(max_length=100)] = "UTC",
    ambiguous: Annotated[str, Form(max_length=20)] = "refuse",
    nonexistent: Annotated[str, Form(max_length=20)] = "refuse",
    encoding: Annotated[str, Form(max_length=50)] = "",
    allow_future: Annotated[str, Form(max_length=5)] = "",
    skip_bad: Annotated[str, Form(max_length=5)] = "",
) -> Sent:
    if (file.size or 0) > MOST_BYTES:
        raise HTTPException(_TOO_LARGE, f"the file has {file.size} bytes; send at most {MOST_BYTES} at once")
    columns = {"kpi": kpi_column, "timestamp": timestamp_column, "value": value_column}
    said = {
        "kpi": kpi,
        "columns": {name: column for name, column in columns.items() if column},
        "ignore": tuple(each.strip() for each in ignore.split(",") if each.strip()),
        "delimiter": delimiter,
        "decimal": decimal,
        "thousands": thousands,
        "date_format": date_format,
        "unit": unit,
        "timezone": timezone or "UTC",
        "ambiguous": ambiguous,
        "nonexistent": nonexistent,
        "encoding": encoding,
        "allow_future": bool(allow_future),
    }
    return Sent(file.filename or "upload", file.file.read(), said, bool(skip_bad))


FileSent = Annotated[Sent, Depends(_sent)]


@ROUTER.get("")
def form(request: Request, mlapp_id: str) -> HTMLResponse:
    """Where a file is dropped."""
    return render(request, "kpis/upload.html", {"mlapp_id": mlapp_id, "units": operations.UNITS})


@ROUTER.post("/preview", max_body_size=_FORM_BYTES)
def preview(request: Request, mlapp_id: str, sent: FileSent) -> HTMLResponse:
    """What is in the file, what is wrong with it, and what would be sent."""
    values: dict[str, Any] = {"mlapp_id": mlapp_id, "sent": sent, "columns": [], "problem": "", "found": None}
    try:
        wanted = operations.format_of(**sent.said)
        values["columns"] = operations.columns_of(sent.data, wanted)
        found = operations.read_points_of(sent.data, wanted)
    except KpiFileError as error:
        return render(request, "kpis/_preview.html", values | {"problem": str(error)})
    changed = operations.changed_points(context_of(request).settings, mlapp_id, found.points)
    values |= {
        "found": found,
        "changed": changed,
        "kpis": operations.summarize(found.points),
        "meanings": _meanings(values["columns"], found, sent),
        "points": list(zip(found.points[:_POINTS], found.written[:_POINTS], strict=True)),
        "mistakes": operations.alike(found.mistakes)[:_MISTAKES],
        "may_send": bool(changed.points) and (sent.skip_bad or not found.bad_lines),
    }
    return render(request, "kpis/_preview.html", values)


@ROUTER.post("", max_body_size=_FORM_BYTES)
def send(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    sent: FileSent,
    digest: Annotated[str, Form(max_length=64)],
) -> Response:
    """Send what differs from what is known."""
    settings = context_of(request).settings
    if sent.digest != digest:
        return toast(
            "The file, or how it is read, has changed since it was shown: look at it again.", kind="error"
        )
    found = operations.read_points_of(sent.data, operations.format_of(**sent.said))
    if found.bad_lines and not sent.skip_bad:
        return toast(f"{counted(found.bad_lines, 'bad line')}: nothing was sent.", kind="error")
    changed = operations.changed_points(settings, mlapp_id, found.points)
    if changed.points:
        try:
            operations.upload_kpis(settings, mlapp_id, sent.name, changed.points, who=asking.author)
        except UndeliveredError as error:
            return toast(f"{error}; send the file again: points that arrived get a revision", kind="error")
    is_stored = stored(lambda: not operations.changed_points(settings, mlapp_id, changed.points).points)
    values = {
        "mlapp_id": mlapp_id,
        "changed": changed,
        "kpis": operations.summarize(found.points),
        "is_stored": is_stored,
    }
    return toast(_told(changed), render(request, "kpis/_sent.html", values))


def _told(changed: ChangedPoints) -> str:
    if not changed.points:
        return f"Nothing was sent: all {changed.unchanged} points are known with these values."
    count = len(changed.points)
    sent = f"{counted(count, 'point')} {'was' if count == 1 else 'were'} sent"
    revised = f", {changed.revised} of them revise a known point" if changed.revised else ""
    return f"{sent}{', it revises a known point' if count == changed.revised == 1 else revised}."


def _meanings(columns: list[str], found: KpiFile, sent: Sent) -> list[tuple[str, str]]:
    """What each column of the file is taken for."""
    names = {sent.said["columns"].get(name, name).casefold(): name for name in REQUIRED}
    labels = {key for point in found.points for key in point.labels}
    zone, unit = sent.said["timezone"], sent.said["unit"]
    words = {
        "kpi": "name of the KPI",
        "timestamp": f"time, {f'in {unit}' if unit else f'in {zone} where it names no zone'}",
        "value": "value",
    }

    def meaning(column: str) -> str:
        if column in sent.said["ignore"]:
            return "ignored"
        if column.casefold() in names:
            return words[names[column.casefold()]]
        return "label" if column in labels else "empty"

    return [(column, meaning(column)) for column in columns]
