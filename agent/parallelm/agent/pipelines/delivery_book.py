"""Deliveries of models to a run, in its folder: those that go on, so that a restarted agent goes on with them, and how others ended."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.files import read_json, replace_json
from parallelm.agent.pipelines import model_files
from parallelm.agent.runners import Delivery
from parallelm.definitions.run_spec import ModelSpec

if TYPE_CHECKING:
    from parallelm.agent.keeping.run_folder import RunFolder

_FILE = "deliveries.json"
_LOCK = threading.Lock()


def open_delivery(run: RunFolder, model: ModelSpec) -> bool:
    """Note that a delivery is to be made; False: the command came again.

    A model that the run had before another one may be delivered once more: the other one was taken back.
    """
    with _LOCK:
        book = _read(run)
        wanted = (model.model_id, model.deployment_id)
        is_open, ended = (
            [(entry["model_id"], entry["deployment_id"]) for entry in book[which]]
            for which in ("open", "ended")
        )
        if wanted in is_open:
            return False
        # What is open may still switch: then it counts neither which model the run has, nor which came last.
        if (
            wanted in ended
            and not is_open
            and (wanted == ended[-1] or model_files.current(run)[0] == wanted[0])
        ):
            return False
        book["open"].append(model.table())
        replace_json(run.path / _FILE, book)
        return True


def open_deliveries(run: RunFolder) -> list[ModelSpec]:
    """Deliveries that have not ended, in order."""
    return [ModelSpec.of(entry) for entry in _read(run)["open"]]


def close_delivery(run: RunFolder, model: ModelSpec, delivery: Delivery | None) -> None:
    """Note how it ended; None: whether the model is accepted the program says itself."""
    with _LOCK:
        book = _read(run)
        book["open"] = [
            entry
            for entry in book["open"]
            if (entry["model_id"], entry["deployment_id"]) != (model.model_id, model.deployment_id)
        ]
        if delivery is not None:
            book["ended"].append(asdict(delivery))
        else:
            book["ended"].append(
                {"model_id": model.model_id, "deployment_id": model.deployment_id, "is_silent": True}
            )
        replace_json(run.path / _FILE, book)


def ended_deliveries(run: RunFolder) -> list[Delivery]:
    """How deliveries have ended, in order."""
    return [Delivery(**entry) for entry in _read(run)["ended"] if not entry.get("is_silent")]


def _read(run: RunFolder) -> dict[str, Any]:
    return read_json(run.path / _FILE) or {"open": [], "ended": []}
