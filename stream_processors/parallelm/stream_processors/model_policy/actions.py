"""What people decide: approve, reject, set a model, roll back, pin, unpin, delete. Every action is answered by a transition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.schemas.records import DeploymentState as State
from parallelm.schemas.well_known import DELETE_MODEL
from parallelm.stream_processors.model_policy import signatures, steps
from parallelm.stream_processors.model_policy.state import LIVE_STATES, MAX_DELETED, PENDING, Pin
from parallelm.stream_processors.model_policy.work import At, Outcome, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.schemas.records import UserAction
    from parallelm.stream_processors.model_policy.state import Deployment, MLAppDeployments

    Act = Callable[[Work, str, UserAction], str]
    """Does it on one node; what it returns is why it was refused, empty when it was done."""


def on_action(known: MLAppDeployments, action: UserAction, at: At) -> Outcome:
    """An action without a node is meant for every node that it concerns; actions of others' concern do nothing."""
    work = Work(known, replace(at, who=action.who))
    if action.action == DELETE_MODEL:
        _delete(work, action)
        return work.outcome
    act = ACTIONS.get(action.action)
    if act is None:
        return known, []
    if action.model_id in known.deleted:
        _refuse(work, action.node_id, action, f"model {action.model_id} was deleted")
        return work.outcome
    nodes = [each.node_id for each in known.consumers if action.node_id in {"", each.node_id}]
    if not nodes:
        there = ", ".join(each.node_id for each in known.consumers) or "none"
        _refuse(
            work, action.node_id, action, f"no node {action.node_id!r} consumes models; there are: {there}"
        )
        return work.outcome
    refused = {}
    for node_id in nodes:
        before = len(work.sent)
        reason = act(work, node_id, action)
        if reason:
            refused[node_id] = reason
        elif len(work.sent) == before:  # it leads to what is so already
            refused[node_id] = "it changes nothing"
    # Without a node, those that it does not concern have no say once it was done on one.
    if action.node_id or len(refused) == len(nodes):
        for node_id, reason in refused.items():
            _refuse(work, node_id, action, reason)
    return work.outcome


def _approve(work: Work, node_id: str, action: UserAction) -> str:
    candidate = _candidate(work, node_id, action, *PENDING)
    if candidate is None:
        return _nothing_pending(work, node_id, action)
    pin = work.node(node_id).pinned
    if pin is not None:
        return f"{pin.who} has pinned the node to model {pin.model_id}; unpin it first"
    if reason := signatures.refusal(work, node_id, candidate.model_id):
        return reason
    steps.unbar(work, node_id, candidate.model_id)
    cleared = work.change(node_id, candidate, cleared=True, who=action.who)
    steps.advance(work, node_id, cleared, why=_because("approved it", action))
    return ""


def _reject(work: Work, node_id: str, action: UserAction) -> str:
    candidate = _candidate(work, node_id, action, *PENDING)
    if candidate is None:
        return _nothing_pending(work, node_id, action)
    steps.reject(work, node_id, candidate, _because("rejected it", action))
    return ""


def _deploy(work: Work, node_id: str, action: UserAction) -> str:
    node, model_id = work.node(node_id), action.model_id
    if not model_id:
        return "no model is named"
    if node.pinned is not None and node.pinned.model_id != model_id:
        return f"{node.pinned.who} has pinned the node to model {node.pinned.model_id}; unpin it first"
    target = node.target
    if target is not None and target.model_id == model_id:
        return f"model {model_id} is {target.state.value} on the node already"
    if reason := signatures.refusal(work, node_id, model_id):
        return reason
    _force(work, node_id, model_id, _because("deployed it", action))
    return ""


def _roll_back(work: Work, node_id: str, action: UserAction) -> str:
    node = work.node(node_id)
    if node.pinned is not None:
        return f"{node.pinned.who} has pinned the node to model {node.pinned.model_id}; unpin it first"
    running = node.in_states(State.CANARY) or ([node.target] if node.target is not None else [])
    if not running:
        return "nothing is deployed on the node"
    current, to = running[-1], None
    if action.model_id:
        if action.model_id == current.model_id:
            return f"model {current.model_id} is what would be rolled back: name the model to go back to"
        to = next(
            (
                each
                for each in reversed(node.deployments)
                if each.was_active and each.model_id == action.model_id
            ),
            None,
        )
        why = (
            signatures.refusal(work, node_id, to.model_id)
            if to
            else f"model {action.model_id} was never live on the node; `mcenter models deploy` deploys it"
        )
        if why:
            return why
    elif current.state is State.ACTIVE and node.previous(current) is None:
        return "there is no earlier model to go back to that was not rolled back itself; `mcenter models deploy` deploys one of your choice"
    steps.roll_back(work, node_id, current, _because("rolled it back", action), to=to)
    return ""


def _pin(work: Work, node_id: str, action: UserAction) -> str:
    node = work.node(node_id)
    live = node.active or node.target
    model_id = action.model_id or (live.model_id if live else "")
    if not model_id:
        return "no model is live on the node; name the model to pin it to"
    if node.pinned is not None and node.pinned.model_id == model_id:
        return f"{node.pinned.who} has pinned the node to model {model_id} already"
    if (live is None or live.model_id != model_id) and (
        refused := signatures.refusal(work, node_id, model_id)
    ):
        return refused
    work.put(replace(node, pinned=Pin(model_id, action.who, action.comment)))
    reason = _because("pinned it", action)
    for other in node.in_states(State.CANARY, State.REQUESTED, State.ACCEPTED):
        if other.model_id != model_id:
            steps.put_back(work, node_id, other, reason)
    if live is None or live.model_id != model_id:
        _force(work, node_id, model_id, reason)
    work.answer(node_id, model_id, State.PINNED, reason)
    return ""


def _unpin(work: Work, node_id: str, action: UserAction) -> str:
    node = work.node(node_id)
    if node.pinned is None:
        return "the node is not pinned"
    work.put(replace(node, pinned=None))
    work.answer(node_id, node.pinned.model_id, State.UNPINNED, _because("unpinned it", action))
    work.at = replace(work.at, who="")
    for held in node.in_states(State.HELD)[-1:]:
        steps.advance(work, node_id, held)
    return ""


def _delete(work: Work, action: UserAction) -> None:
    """A model that nothing runs, waits for or is pinned to is never deployed again: its file may be removed.

    Deleting it again is answered alike: whoever was interrupted before the file was gone may repeat it.
    """
    model_id = action.model_id
    reason = _used(work.known, model_id) if model_id else "no model is named"
    if reason:
        _refuse(work, action.node_id, action, reason)
        return
    others = tuple(each for each in work.known.deleted if each != model_id)
    work.known = replace(
        work.known,
        deleted=(*others, model_id)[-MAX_DELETED:],
        latest=tuple(each for each in work.known.latest if each.model_id != model_id),
        waiting=tuple(each for each in work.known.waiting if each.model_id != model_id),
    )
    for node in work.known.nodes:
        # A roll-back does not go to it.
        gone = (
            replace(each, was_active=False) if each.model_id == model_id else each
            for each in node.deployments
        )
        work.put(replace(node, deployments=tuple(gone)))
    work.answer("", model_id, State.DELETED, _because("deleted it", action))


def _used(known: MLAppDeployments, model_id: str) -> str:
    """Where a model is deployed, pending or pinned; empty when it is not."""
    for node in known.nodes:
        found = next((each for each in node.deployments if each.open and each.model_id == model_id), None)
        if found is not None:
            return f"model {model_id} is {found.state.value} on node {node.node_id!r}"
        if node.pinned is not None and node.pinned.model_id == model_id:
            return f"{node.pinned.who} has pinned node {node.node_id!r} to model {model_id}; unpin it first"
    return ""


ACTIONS: Mapping[str, Act] = {
    "approve": _approve,
    "reject": _reject,
    "deploy": _deploy,
    "roll_back": _roll_back,
    "pin": _pin,
    "unpin": _unpin,
}
"""What is done node by node."""
HANDLED = frozenset({*ACTIONS, DELETE_MODEL})


_COMMANDS = {"roll_back": "rollback", DELETE_MODEL: "delete"}
"""What people call an action, where it is not its name: their command."""


def _force(work: Work, node_id: str, model_id: str, reason: str) -> None:
    """A person's own choice: no gate, review, canary, window or cool-down."""
    node = work.node(node_id)
    steps.unbar(work, node_id, model_id)
    pending = next((each for each in node.pending if each.model_id == model_id), None)
    if pending is not None:
        steps.end_canary(work, node_id, pending, reason)
        chosen = work.change(
            node_id, work.current(node_id, pending), cleared=True, forced=True, who=work.at.who
        )
    else:
        known = [each.published for each in node.deployments if each.model_id == model_id]
        known += [each.published for each in work.known.latest if each.model_id == model_id]
        published = known[-1] if known else (work.at.event_ms, model_id)
        chosen = work.add(node_id, model_id, published, cleared=True, forced=True, who=work.at.who)
    steps.request(work, node_id, chosen, reason)


def _candidate(work: Work, node_id: str, action: UserAction, *states: State) -> Deployment | None:
    """The deployment that a person means: of the named model, or the newest."""
    found = [
        each
        for each in work.node(node_id).pending
        if each.state in states and action.model_id in {"", each.model_id}
    ]
    return found[-1] if found else None


def _nothing_pending(work: Work, node_id: str, action: UserAction) -> str:
    """Why there is nothing to approve or to reject: what became of it, and who did that."""
    if not action.model_id:
        return "no model is pending on the node"
    found = work.node(node_id).find(action.model_id)
    if found is None:
        return f"model {action.model_id} is not pending on the node: it was never offered to it"
    by = f" (by {found.who})" if found.who else ""
    hint = "; roll it back" if found.state in LIVE_STATES and action.action == "reject" else ""
    return f"model {action.model_id} is not pending on the node: it is {found.state.value}{by}{hint}"


def _because(did: str, action: UserAction) -> str:
    return f"{action.who} {did}" + (f": {action.comment}" if action.comment else "")


def _refuse(work: Work, node_id: str, action: UserAction, reason: str) -> None:
    work.answer(
        node_id,
        action.model_id,
        State.REFUSED,
        f"{_COMMANDS.get(action.action, action.action)} refused: {reason}",
    )
