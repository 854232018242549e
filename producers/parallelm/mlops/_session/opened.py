"""The state between ``init()`` and ``done()``, as one immutable object."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.connections import Settings
    from parallelm.mlops._outputs.output import Output
    from parallelm.mlops._questions.platform import Platform
    from parallelm.mlops._reporting.samples import SampleQueue
    from parallelm.mlops._session.environment import ComponentEnvironment
    from parallelm.mlops.mlops_mode import MLOpsMode
    from parallelm.mlops.models.model import Model
    from parallelm.schemas.records import Histogram


class ModelsInUse:
    """The models that this component uses."""

    __slots__ = ("current", "deployed_id", "downloaded", "trained_on")

    def __init__(self) -> None:
        self.current: Model | None = None
        self.downloaded: Model | None = None
        """The deployed model that it has downloaded last."""
        self.deployed_id = ""
        """Id of the model that the platform deployed to this component's node."""
        self.trained_on: dict[str, Sequence[Histogram]] = {}
        """Training histograms by model id, of the current and of the approved model."""


class Opened(NamedTuple):
    """The open library. Two are the same only if they are one object."""

    output: Output
    mode: MLOpsMode
    environment: ComponentEnvironment
    models: ModelsInUse
    event_time_ns: int | None
    """Event time of every report outside ``event_time`` blocks; None means the clock's."""
    settings: Settings | None = None
    """Settings of the platform; None in modes that have none."""
    by_init: bool = True
    """False if the library was opened for the program, and the program has not called ``init()`` yet."""
    validates_only: bool = False
    """Arguments are validated; nothing is sent or queried."""

    @property
    def platform(self) -> Platform | None:
        """The platform to query; None in modes without one."""
        if self.settings is None:
            return None
        from parallelm.mlops._questions.platform import Platform

        return Platform(self.settings)

    def platform_within(self, left_s: float) -> Platform:
        """The platform, with a time limit of at least a second, in modes that have one."""
        from parallelm.mlops._questions.platform import Platform

        if self.settings is None:
            raise MLOpsException(f"mode {self.mode.value} has no platform to ask")
        return Platform(self.settings, max(1.0, left_s))

    def platform_to_ask(self) -> Platform | None:
        """The platform; None if arguments are only validated. Raises ``MLOpsException`` in modes without a platform."""
        if self.validates_only:
            return None
        platform = self.platform
        if platform is None:
            raise MLOpsException(f"mode {self.mode.value} has no platform to ask: use mode agent or attach()")
        return platform


class Opening(NamedTuple):
    """The arguments of ``init()``."""

    mode: MLOpsMode
    connect_mlops: bool
    event_time_ns: int | None
    """Value of MCENTER_EVENT_TIME."""
    queue: SampleQueue
    mlapp_id: str = ""
    """The MLApp to act for; empty means the one in the environment."""


if TYPE_CHECKING:
    Opener = Callable[[Opening], Opened]
    """Opens the library; if that is not possible, raises ``MLOpsException`` and leaves nothing open."""
