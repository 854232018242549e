"""Waits for a deployed model: asks ClickHouse with growing pauses.

Reading the topic ``deployments`` instead would answer some 0.3 s earlier (what the sink takes), but every component would
read the topic from its beginning to know the state of its node, and hold connections to the brokers for it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException
from parallelm.mlops.models.model import Model
from parallelm.mlops.stats._callers_values import quoted
from parallelm.mlops.stats._values import jsonable, number, string

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

SHORTEST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
_PAUSE_SHARE: Final = 0.05
DOWNLOADED: Final = "downloaded"
"""Value of ``newer_than``: the model that this component has downloaded last."""


class Wanted(NamedTuple):
    """What a component waits for."""

    name: str | None = None
    annotations: Mapping[str, Any] | None = None
    held: Model | None = None
    """The model that the component has."""

    def accepts(self, model: Model) -> bool:
        """Whether a deployed model is the one that is waited for."""
        if self.name is not None and model.metadata.name != self.name:
            return False
        known = model.metadata.annotations
        if any(key not in known or known[key] != value for key, value in (self.annotations or {}).items()):
            return False
        return self.held is None or is_newer(model, self.held)


def is_newer(deployed: Model, held: Model) -> bool:
    """Whether a deployed model is another one than that held, or the same by a later deployment, which is acknowledged anew."""
    if deployed != held:
        return True
    ours, theirs = held.deployment, deployed.deployment
    return ours is not None and theirs is not None and ours.deployment_id != theirs.deployment_id


def wanted(
    newer_than: Any, downloaded: Model | None, *, name: Any = None, annotations: Any = None, **unknown: Any
) -> Wanted:
    """The arguments of ``wait_for_model``, checked; raises ``MLOpsException``."""
    if unknown:
        raise MLOpsException(
            f"wait_for_model knows name and annotations of a model, not {', '.join(unknown)}"
        )
    if annotations is not None:
        annotations = jsonable(annotations, "the annotations of the model that is waited for")
        if not isinstance(annotations, dict):
            raise MLOpsException("the annotations of the model that is waited for must be a dict")
    if isinstance(newer_than, str) and newer_than == DOWNLOADED:
        held = downloaded
    elif newer_than is None or isinstance(newer_than, Model):
        held = newer_than
    else:
        raise MLOpsException(f"newer_than must be a Model, None or {DOWNLOADED!r}, not {quoted(newer_than)}")
    return Wanted(None if name is None else string(name, "a model's name"), annotations, held)


def timeout_of(timeout: Any) -> float:
    """A time limit in seconds; raises ``MLOpsException`` for anything but a finite number from 0."""
    seconds = float(number(timeout, "the timeout of wait_for_model"))
    if not 0 <= seconds < math.inf:
        raise MLOpsException(
            f"the timeout of wait_for_model is {timeout!r}; it must be 0 s or more, and finite"
        )
    return min(seconds, float(2**31))


def pause_s(waited_s: float) -> float:
    """Pause before the next question: a twentieth of the time that was waited, within bounds."""
    return min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, waited_s * _PAUSE_SHARE))


def wait(
    ask: Callable[[float], Model | None],
    timeout_s: float,
    closing: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> Model | None:
    """Call ``ask`` with the seconds that are left until it answers a model.

    None at the time limit, and once ``closing`` is set. An ``MLOpsConnectionException`` counts as no answer yet, and is
    raised at the limit if the last question led to it.
    """
    started = clock()
    while True:
        failed: MLOpsConnectionException | None = None
        try:
            model = ask(max(0.0, timeout_s - (clock() - started)))
        except MLOpsConnectionException as error:
            model, failed = None, error
        if model is not None:
            return model
        waited_s = clock() - started
        left_s = timeout_s - waited_s
        if left_s <= 0:
            if failed is not None:
                raise failed
            return None
        if closing.wait(min(left_s, pause_s(waited_s))):
            return None
