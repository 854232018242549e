"""Frames of models: those of the platform, and those that a stand-alone run has published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops._models.models import model_bytes, model_of_row
from parallelm.mlops.models.model import ModelFormat, ModelMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from parallelm.mlops._models.models import Models
    from parallelm.mlops._models.outbox import OutboxEntry
    from parallelm.schemas.times import Time


def platform_models(models: Models, found: pd.DataFrame, download: bool) -> pd.DataFrame:
    """Models from rows of the warehouse; with ``download``, including their bytes."""
    from parallelm.mlops._questions.frames import epoch_ms, records_of

    rows = records_of(found)
    known = [model_of_row(models, row | {"created_ms": epoch_ms(row["event_time"])}) for row in rows]
    described = [
        model.metadata.to_dict() | {"active": bool(row["live_on"])}
        for model, row in zip(known, rows, strict=True)
    ]
    return _frame(described, [models.read(model) for model in known] if download else None)


def local_models(
    models: Models,
    published: Mapping[str, OutboxEntry],
    model_id: str | None,
    start: Time | None,
    end: Time | None,
    download: bool,
) -> pd.DataFrame:
    """Models that this stand-alone run has published."""
    from parallelm.mlops._session.event_time import parse_range_ms

    first_ms, last_ms = parse_range_ms(start, end)
    entries = [
        entry
        for entry in published.values()
        if model_id in {None, entry.manifest["model_id"]}
        and (first_ms is None or first_ms <= entry.manifest["event_time_ms"])
        and (last_ms is None or entry.manifest["event_time_ms"] < last_ms)
    ]
    described = []
    for entry in entries:
        row = {**entry.manifest, "artifact_url": "", "created_ms": entry.manifest["event_time_ms"]}
        described.append(model_of_row(models, row).metadata.to_dict())
    if not download:
        return _frame(described, None)
    contents = [
        model_bytes(entry.artifact, ModelFormat.from_str(entry.manifest["format"])) for entry in entries
    ]
    return _frame(described, contents)


def _frame(described: list[dict[str, Any]], data: list[bytes | str] | None) -> pd.DataFrame:
    import pandas as pd

    columns = list(ModelMetadata("", "", ModelFormat.UNKNOWN).to_dict())
    frame = pd.DataFrame(described, columns=columns)
    if data is not None:
        frame["data"] = pd.Series(data, dtype="object", index=frame.index)
    return frame
