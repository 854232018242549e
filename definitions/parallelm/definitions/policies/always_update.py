"""``always_update``: each new model goes to every node that consumes from its producer, at once."""

from __future__ import annotations

from parallelm.definitions.policies import PolicyForm
from parallelm.schemas.records import ModelPolicy


class AlwaysUpdateForm(PolicyForm, kind=ModelPolicy.ALWAYS_UPDATE):
    """Nothing beyond what every policy has."""
