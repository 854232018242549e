"""The output of each mode of the library. A new mode is one function here and one line of ``OPENERS``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from parallelm.mlops._outputs.standalone import StandAloneOutput
from parallelm.mlops._session.environment import read_environment
from parallelm.mlops._session.opened import ModelsInUse, Opened
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings
    from parallelm.mlops._session.opened import Opener, Opening


def open_by_mode(opening: Opening) -> Opened:
    """Open the library with the output of its mode."""
    return OPENERS[opening.mode](opening)


def open_connected(opening: Opening, settings: Settings | None = None) -> Opened:
    """Reports go to Kafka. By default with the settings of this process."""
    environment = read_environment(connected=True)
    if opening.mlapp_id:
        environment = environment._replace(mlapp_id=opening.mlapp_id)
    if settings is None:
        from parallelm.mlops._session.settings import read_settings

        settings = read_settings()
    from parallelm.mlops._outputs.kafka import KafkaOutput

    output = KafkaOutput(settings, environment, opening.queue)
    try:
        output.open()
    except BaseException:  # also after a signal nothing stays open
        output.abandon()
        raise
    return Opened(output, opening.mode, environment, ModelsInUse(), opening.event_time_ns, settings)


def _open_stand_alone(opening: Opening) -> Opened:
    """Reports are printed."""
    if opening.connect_mlops:
        raise MLOpsException("connect_mlops=True needs a mode that connects; stand-alone does not")
    environment = read_environment(connected=False)
    output = StandAloneOutput(os.environ.get("PM_MLOPS_FILE", ""), environment.agent_id)
    return Opened(output, opening.mode, environment, ModelsInUse(), opening.event_time_ns)


def _open_accumulator(opening: Opening) -> Opened:
    """The newest value of each statistic is stored in memory."""
    from parallelm.mlops._outputs.accumulator import AccumulatorOutput

    environment = read_environment(connected=False)
    return Opened(AccumulatorOutput(), opening.mode, environment, ModelsInUse(), opening.event_time_ns)


OPENERS: Mapping[MLOpsMode, Opener] = {
    MLOpsMode.STAND_ALONE: _open_stand_alone,
    MLOpsMode.REST_ACCUMULATOR: _open_accumulator,
    MLOpsMode.AGENT: open_connected,
    MLOpsMode.ATTACH: open_connected,
}
