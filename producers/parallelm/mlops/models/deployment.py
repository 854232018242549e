"""Through which deployment a component got a model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment of a model to this component's node, as it was when the component asked."""

    deployment_id: str
    model_id: str
    node_id: str
    attempt: int
    """Which deployment of the node it is, from 1. A roll-back to an earlier model is a new deployment."""
    state: str
    """``canary``, ``requested``, ``accepted`` or ``active``."""
    policy: str
    """Model policy that decided: ``always_update``, ``manual`` or ``canary``."""
    reason: str
    """Why it was requested of the node, in a sentence."""
    who: str
    """Person who decided; empty when the policy did."""
    requested_at: datetime
    """Event time of the request, UTC."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Deployment:
        """A deployment of the answer of ``last_deployed_model``."""
        return cls(
            deployment_id=row["deployment_id"],
            model_id=row["model_id"],
            node_id=row["node_id"],
            attempt=row["attempt"],
            state=row["deployment_state"],
            policy=row["policy"],
            reason=row["reason"],
            who=row["who"],
            requested_at=_EPOCH + timedelta(milliseconds=int(row["requested_ms"])),
        )
