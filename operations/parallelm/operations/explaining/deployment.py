"""Why a model was deployed, held, taken back or not: its announcement, the policy, gates, people and agents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from parallelm.definitions.durations import format_duration
from parallelm.operations.explaining.part import Part, of_json
from parallelm.operations.explaining.records import cause_of, definition_then
from parallelm.operations.json_values import plain, scalar_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from parallelm.connections import Settings

_SUFFIX_MS = "_ms"


def deployment_rows(settings: Settings, text: str) -> list[dict[str, Any]]:
    """Transitions of the deployment whose id, or whose model's id, ``text`` begins: of several the one decided on last."""
    from parallelm.warehouse.queries import deployment_transitions

    found = deployment_transitions(settings, text)
    if not found:
        return []
    # What answers a person (pinned, refused) is no deployment, and is explained only when it is all there is.
    chosen = next((row for row in reversed(found) if row["attempt"]), found[-1])
    last = (chosen["mlapp_id"], chosen["node_id"], chosen["deployment_id"])
    return [row for row in found if (row["mlapp_id"], row["node_id"], row["deployment_id"]) == last]


def explain_deployment(settings: Settings, text: str, rows: Sequence[Mapping[str, Any]]) -> Part:
    """The whole tree of one deployment, transitions as ``deployment_rows`` found them for ``text``."""
    first, last = rows[0], rows[-1]
    what = (
        f"deployment {last['deployment_id']} of model {last['model_id']} to node {last['node_id']!r} of MLApp "
        f"{last['mlapp_id']!r}, attempt {last['attempt']}: {last['state']}"
    )
    parts = [_announcement(settings, last["model_id"]), _policy(settings, first)]
    parts += [_transition(settings, each) for each in rows]
    return Part(what, {"asked": text} | plain(dict(last)), parts)


def _announcement(settings: Settings, model_id: str) -> Part:
    from parallelm.warehouse.queries import model_announcement

    model = model_announcement(settings, model_id)
    if model is None:
        return Part(f"model {model_id} was not announced, or its announcement is not stored yet")
    place = f"{model['_topic']}/{model['_partition']}@{model['_offset']}"
    text = (
        f"announced at {_time(model['event_time'])} by node {model['node_id']!r} on {model['agent_id']!r} ({place}): "
        f"{model['name']}, {model['format']}, {model['size_bytes']} bytes, sha256 {model['sha256']}"
    )
    return Part(text, plain(model))


def _policy(settings: Settings, first: Mapping[str, Any]) -> Part:
    row, definition = definition_then(settings, first["mlapp_id"], first["ingested_at"])
    if row is None:
        return Part("the policy as it was is not known: the warehouse has no definition of that time")
    where = f"policy {first['policy']} as of version {row['version']}, applied by {row['applied_by']}"
    if definition is None:
        return Part(where)
    policy = definition.node_policies.get(first["node_id"], definition.policy)
    values = {"accept_timeout_ms": policy.accept_timeout_ms} | json.loads(policy.parameters_json)
    return Part(where, values, of_json(_as_written(values)))


def _as_written(value: Any) -> Any:
    """Parameters of a policy under the keys of the MLApp's file, without those that say nothing."""
    if isinstance(value, list):
        return [_as_written(each) for each in value]
    if not isinstance(value, dict):
        return value
    written = {}
    for key, each in value.items():
        name = key.removesuffix(_SUFFIX_MS)
        if each not in (None, "", [], {}) and not (each == 0 and name != key):
            written[name] = format_duration(each) if name != key else _as_written(each)
    gates = {key: written.pop(key) for key in ("before", "after") if key in written}
    return written | ({"gates": gates} if gates else {})


def _transition(settings: Settings, transition: Mapping[str, Any]) -> Part:
    who = f" by {transition['who']}" if transition["who"] else ""
    agent = f" on agent {transition['agent_id']!r}" if transition["agent_id"] else ""
    text = f"{transition['state']}{who}{agent} at {_time(transition['event_time'])}: {transition['reason']}"
    parts = []
    if transition["related_model_id"]:
        parts.append(Part(f"the other model is {transition['related_model_id']}"))
    evidence = json.loads(transition["evidence_json"] or "{}")
    if evidence:
        parts.append(Part("the numbers behind it", evidence, of_json(evidence)))
    parts.append(cause_of(settings, transition))
    parts.append(
        Part(f"decided at {_time(transition['decided_at'])}, transition {transition['transition_id']}")
    )
    return Part(text, plain(dict(transition)) | {"evidence": evidence}, parts)


def _time(moment: datetime) -> str:
    return scalar_text(moment)
