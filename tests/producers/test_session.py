"""The life cycle by itself: what opens the library is injected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.mlops._outputs.accumulator import AccumulatorOutput
from parallelm.mlops._outputs.modes import OPENERS
from parallelm.mlops._reporting.samples import SampleQueue
from parallelm.mlops._session.environment import read_environment
from parallelm.mlops._session.opened import ModelsInUse, Opened
from parallelm.mlops._session.session import Session
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode

if TYPE_CHECKING:
    from parallelm.mlops._session.opened import Opening


class Outputs:
    """An opener that keeps what it was asked for and what it has opened."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Opening] = []
        self.closed: list[Recording] = []

    def open(self, opening: Opening) -> Opened:
        self.asked.append(opening)
        if self.error is not None:
            raise self.error
        environment = read_environment(connected=False)
        return Opened(Recording(self), opening.mode, environment, ModelsInUse(), opening.event_time_ns)


class Recording(AccumulatorOutput):
    def __init__(self, outputs: Outputs) -> None:
        super().__init__()
        self._outputs = outputs

    def close(self) -> None:
        self._outputs.closed.append(self)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PM_MLOPS_MODE", "MCENTER_EVENT_TIME"):
        monkeypatch.delenv(name, raising=False)


def test_every_mode_is_registered() -> None:
    assert set(OPENERS) == set(MLOpsMode)


@pytest.mark.parametrize("mode", MLOpsMode)
def test_init_opens_as_asked_and_done_closes(mode: MLOpsMode) -> None:
    outputs = Outputs()
    session = Session(SampleQueue(), outputs.open)
    prepared: list[Opened] = []
    session.when_opened(prepared.append)
    session.init(connect_mlops=True, mode=mode.value)
    session.init()
    assert [(asked.mode, asked.connect_mlops) for asked in outputs.asked] == [(mode, True)]
    assert prepared == [session.opened()]
    output = session.output()
    session.done()
    assert outputs.closed == [output]
    assert (session.init_called, session.done_called) == (False, True)


def test_what_cannot_be_opened_is_not_open() -> None:
    session = Session(SampleQueue(), Outputs(MLOpsException("no such place")).open)
    with pytest.raises(MLOpsException, match="no such place"):
        session.init()
    assert (session.init_called, session.done_called) == (False, False)
    with pytest.raises(MLOpsException, match=r"Must call init\(\)"):
        session.output()


@pytest.mark.parametrize(("mode", "openings"), [("stand_alone", 1), ("agent", 2)])
def test_init_takes_over_what_was_opened_for_a_worker(mode: str, openings: int) -> None:
    outputs = Outputs()
    session = Session(SampleQueue(), outputs.open)
    session.open_in_worker(MLOpsMode.STAND_ALONE, "", validates_only=False)
    first = session.output()
    session.open_in_worker(MLOpsMode.AGENT, "", validates_only=False)
    assert session.output() is first
    session.init(mode=mode)
    assert len(outputs.asked) == openings
    assert outputs.closed == ([] if openings == 1 else [first])
    session.done()


def test_a_worker_that_cannot_open_the_library_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    session = Session(SampleQueue(), Outputs(MLOpsException("no settings")).open)
    session.open_in_worker(MLOpsMode.AGENT, "", validates_only=False)
    assert not session.init_called
    assert "cannot be opened in this worker process: no settings" in caplog.text


def test_a_worker_acts_for_the_mlapp_that_was_attached_to() -> None:
    outputs = Outputs()
    session = Session(SampleQueue(), outputs.open)
    session.open_in_worker(MLOpsMode.ATTACH, "app", validates_only=True)
    assert (outputs.asked[0].mode, outputs.asked[0].mlapp_id) == (MLOpsMode.ATTACH, "app")
    assert session.opened().validates_only
    session.done()


def test_an_event_time_block_holds_for_every_instance() -> None:
    queues = SampleQueue(), SampleQueue()
    sessions = [Session(queue, Outputs().open) for queue in queues]
    with sessions[0].event_time("2013-01-01", None):
        assert [int(queue.clock()) for queue in queues] == [1_356_998_400] * 2
        late = SampleQueue()
        session = Session(late, Outputs().open)
        session.init()
        assert int(late.clock()) == 1_356_998_400
        session.done()
    assert late.clock() > 1_700_000_000
