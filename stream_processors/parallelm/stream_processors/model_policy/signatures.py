"""Who has signed a model, and whether a node's policy trusts that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.schemas.errors import SignatureError
from parallelm.schemas.model_signatures import signed_model, signer, untrusted
from parallelm.stream_processors.model_policy.state import MAX_SIGNED, SignatureOf

if TYPE_CHECKING:
    from parallelm.schemas.records import ModelAnnouncement
    from parallelm.stream_processors.model_policy.state import Announced, MLAppDeployments
    from parallelm.stream_processors.model_policy.work import Work


def signer_of(record: ModelAnnouncement) -> tuple[str, str]:
    """Id of the key whose signature fits an announcement, or an empty one and why there is none."""
    try:
        return signer(signed_model(record), record.signature), ""
    except SignatureError as error:
        return "", str(error)


def noted(known: MLAppDeployments, announced: Announced) -> MLAppDeployments:
    """Remember who has signed a model. What its first announcement says holds, as in the warehouse.

    Of models that a node runs, is to run or may be rolled back to it is never forgotten.
    """
    if any(each.model_id == announced.model_id for each in known.signatures):
        return known
    new = SignatureOf(announced.model_id, announced.signed_by, announced.unsigned_because)
    signatures = [*known.signatures, new]
    kept = {each.model_id for node in known.nodes for each in node.deployments}
    spare = [each.model_id for each in signatures[:-1] if each.model_id not in kept]
    gone = set(spare[: max(0, len(signatures) - MAX_SIGNED)])
    return replace(known, signatures=tuple(each for each in signatures if each.model_id not in gone))


def refusal(work: Work, node_id: str, model_id: str) -> str:
    """Why the policy of a node does not let it run a model; empty when it does."""
    trusted = work.settings(node_id).signing_keys
    if not trusted:
        return ""
    found = next((each for each in work.known.signatures if each.model_id == model_id), None)
    if found is None:
        return "the policy demands a signature, and who has signed it is not known any more: publish it again"
    if found.key_id in trusted:
        return ""
    problem = untrusted(found.key_id, trusted) if found.key_id else found.problem
    return f"the policy demands a signature: {problem}"
