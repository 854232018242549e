"""What changes on the page of a run beside its log, and whether a page that says what it shows has it already."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fastapi import Query, Request

from parallelm.server.pages._rows import rows
from parallelm.server.pages.filters import lasting
from parallelm.server.pages.runs.listing import seconds_of
from parallelm.warehouse.queries import models_of_pipelines, run_transitions

if TYPE_CHECKING:
    from parallelm.connections import Settings

KNOWN: Final = Query(max_length=100, description="Digest of the state that the page shows.")
_MINUTE_S: Final = 60


def known_at_of(request: Request) -> str:
    """The moment as of which the page is, as its address has it; empty: now."""
    return request.query_params.get("known_at", "")


def run_state(settings: Settings, run: Mapping[str, Any], known: str = "") -> dict[str, Any] | None:
    """Values for ``runs/_run.html``; None where their digest is ``known``. ``run`` is its row."""
    of_run = {"node_id": run["node_id"], "run_id": run["run_id"]}
    lasts = _lasts(run)
    # The models of a run that goes on are a large question; that of one that has ended may be stored after its end.
    models = models_of_pipelines(settings, run["mlapp_id"], **of_run) if run["has_ended"] else None
    digest = hashlib.blake2b(repr((sorted(run.items()), lasts, models)).encode(), digest_size=8).hexdigest()
    if digest == known:
        return None
    return {
        "lasts": lasts,
        "transitions": rows(run_transitions(settings, mlapp_id=run["mlapp_id"], run_id=run["run_id"])),
        "models": models_of_pipelines(settings, run["mlapp_id"], **of_run) if models is None else models,
        "digest": digest,
        "is_beside": False,
    }


def _lasts(run: Mapping[str, Any]) -> str:
    """For how long its program ran; of one that runs in minutes, so that it does not change all the time."""
    seconds = seconds_of(run, time.time_ns() // 1_000_000)
    if run["has_ended"]:
        return lasting(seconds)
    return lasting(seconds // _MINUTE_S * _MINUTE_S) if seconds >= _MINUTE_S else "less than a minute"
