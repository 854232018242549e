"""Why a run was due, and why it went as it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.operations.errors import UnknownRunError
from parallelm.operations.explaining.part import Part
from parallelm.operations.json_values import plain
from parallelm.operations.runs import find_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings


def explain_run(settings: Settings, run: Mapping[str, Any]) -> Part:
    """The chain behind a run, as ``find_run`` has it."""
    from parallelm.warehouse.queries import run_transitions

    history = run_transitions(
        settings, mlapp_id=run["mlapp_id"], node_id=run["node_id"], run_id=run["run_id"]
    ).to_dict("records")
    steps = [_step({str(name): value for name, value in row.items()}) for row in history]
    parts = [_cause(settings, run), Part("what has happened to it", parts=steps)]
    if run["model_id"]:
        parts.append(Part(f"it was started with model {run['model_id']}"))
    text = f"run {run['run_id'][:10]} of {run['node_id']} is {run['state']}: {run['reason'] or 'no reason was told'}"
    return Part(text, plain(dict(run)), parts)


def _cause(settings: Settings, run: Mapping[str, Any]) -> Part:
    """What made it due; of a run that followed another one, that one."""
    due = f"due {run['due_at']:%Y-%m-%d %H:%M:%S} UTC"
    by = f" by {run['who']}" if run["who"] else ""
    if run["trigger"] != "parent":
        what = f", id {run['trigger_id']}" if run["trigger"] in {"model", "data"} else ""
        return Part(f"{due}, because of {run['trigger']}{by}{what}")
    try:
        parent = find_run(settings, run["trigger_id"], mlapp_id=run["mlapp_id"])
    except UnknownRunError:
        return Part(f"{due}, after run {run['trigger_id']}, of which nothing is known any more")
    told = f"run {parent['run_id'][:10]} of {parent['node_id']} {parent['state']}: {parent['reason']}"
    return Part(f"{due}, after another run", parts=[Part(told)])


def _step(row: Mapping[str, Any]) -> Part:
    attempt = f", attempt {row['attempt']}" if row["attempt"] > 1 else ""
    who = f" by {row['who']}" if row["who"] else ""
    reason = f": {row['reason']}" if row["reason"] else ""
    return Part(f"{row['event_time']:%Y-%m-%d %H:%M:%S} UTC {row['state']}{attempt}{who}{reason}")
