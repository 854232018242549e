"""``change_point``: has the level of a statistic changed? The detectors agree with river's."""

from __future__ import annotations

import json
import math
import random

import pytest
from river import drift

from parallelm.stream_processors.alerts.detectors import adwin, page_hinkley

from .samples import each, steps_of, verdicts


def stream(seed: int, length: int = 3_000) -> list[float]:
    """A stream whose level and spread change now and then: normal, binary, or a slow rise."""
    rng, level, spread, values = random.Random(seed), 0.0, 1.0, []
    for at in range(length):
        if rng.random() < 0.002:
            level, spread = rng.uniform(-10, 10), rng.uniform(0.01, 5)
        kinds = (rng.gauss(level, spread), float(rng.random() < abs(level) / 10), level + at * 0.001)
        values.append(kinds[seed % 3])
    return values


@pytest.mark.parametrize("seed", range(12))
def test_adwin_finds_what_river_finds(seed: int):
    delta, check_every, min_samples = (
        [0.002, 0.05, 0.3][seed % 3],
        [32, 1, 7][seed // 3 % 3],
        [10, 30][seed % 2],
    )
    reference = drift.ADWIN(delta=delta, clock=check_every, grace_period=min_samples)
    settings = adwin.AdwinSettings(delta, check_every, min_samples)
    state, found = adwin.AdwinState(), 0
    for value in stream(seed):
        reference.update(value)
        before = state
        state, change = adwin.update(adwin.AdwinState(*json.loads(json.dumps(state))), value, settings)
        assert (change is not None) == reference.drift_detected
        if change is None:
            assert state.width == reference.width
            assert state.total == pytest.approx(reference.total)
            assert state.squares == pytest.approx(reference.variance, abs=1e-9)
        else:
            found += 1
            assert change.count_before + change.count_after == before.width + 1
            window = before.total + value
            parts = change.before * change.count_before + change.after * change.count_after
            assert parts == pytest.approx(window, abs=1e-6)
            assert state == adwin.AdwinState()
    assert found


@pytest.mark.parametrize("seed", range(12))
def test_page_hinkley_finds_what_river_finds(seed: int):
    threshold, min_samples, mode = (
        [5, 50][seed % 2],
        [30, 10][seed % 2],
        ["both", "up", "down"][seed // 2 % 3],
    )
    ours = {"both": "either", "up": "increase", "down": "decrease"}[mode]
    reference = drift.PageHinkley(min_instances=min_samples, delta=0.005, threshold=threshold, mode=mode)
    settings = page_hinkley.PageHinkleySettings(min_samples, 0.005, threshold, 1 - 0.0001, ours)
    state, found = page_hinkley.PageHinkleyState(), 0
    for value in stream(seed):
        reference.update(value)
        stored = page_hinkley.PageHinkleyState(*json.loads(json.dumps(state)))
        state, change = page_hinkley.update(stored, value, settings)
        assert (change is not None) == reference.drift_detected
        if change is not None:
            found += 1
            assert state == page_hinkley.PageHinkleyState()
    assert found


def noisy(*parts: tuple[int, float], seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(level, 1) for count, level in parts for _ in range(count)]


ADWIN = "type: change_point"
PAGE_HINKLEY = "type: change_point, method: page_hinkley, threshold: 40, delta: 0.5"


@pytest.mark.parametrize("text", [ADWIN, PAGE_HINKLEY])
def test_a_change_fires_with_both_levels_and_is_the_usual_level_after_some_samples(text: str):
    steps = steps_of(f"{text}, settle_samples: 20", each(1, noisy((500, 10), (500, 13))))
    assert [step.state.value for step in steps] == ["firing", "resolved"]
    fired, resolved = steps
    assert 500 < fired.at_ms < 535
    assert resolved.at_ms == fired.at_ms + 20
    assert (fired.threshold, fired.value) == (pytest.approx(10, abs=0.5), pytest.approx(13, abs=0.8))
    name = "ADWIN" if text == ADWIN else "Page-Hinkley"
    assert fired.reason.startswith(
        f"the level of x changed from {fired.threshold:.4g} to {fired.value:.4g} ({name}: means of "
    )
    assert (resolved.threshold, resolved.value) == (fired.threshold, fired.value)
    assert resolved.reason.endswith(", counts as usual after 20 samples")


@pytest.mark.parametrize("text", [ADWIN, PAGE_HINKLEY])
@pytest.mark.parametrize(
    ("direction", "levels"), [("increase", [13]), ("decrease", [10]), ("either", [13, 10])]
)
def test_directions(text: str, direction: str, levels: list[float]):
    values = noisy((500, 10), (500, 13), (500, 10))
    steps = steps_of(f"{text}, direction: {direction}", each(1, values))
    assert [step.value for step in steps if step.state.value == "firing"] == [
        pytest.approx(level, abs=0.8) for level in levels
    ]


def test_a_second_change_before_the_first_is_usual_goes_on_with_the_alert():
    text = f"{ADWIN}, settle_samples: 400, check_every: 1"
    steps = steps_of(text, each(1, noisy((300, 10), (300, 14), (600, 20))))
    assert [step.state.value for step in steps] == ["firing", "resolved"]
    assert steps[1].at_ms > 1_000
    assert (steps[0].threshold, steps[1].threshold) == (
        pytest.approx(10, abs=0.5),
        pytest.approx(14, abs=0.5),
    )


def test_no_change_is_found_where_there_is_none_but_by_chance():
    """ADWIN's delta bounds false alarms; in practice they are far fewer."""
    fired = sum(True in verdicts(ADWIN, each(1, noisy((2_000, 5), seed=seed))) for seed in range(10))
    assert fired == 0


@pytest.mark.parametrize("text", [ADWIN, PAGE_HINKLEY])
def test_an_infinite_sample_has_no_level(text: str):
    values = noisy((500, 10), (60, 13), (100, 13))
    usual = verdicts(text, each(1, values))
    values[200:200] = [math.inf, -math.inf]
    found = verdicts(text, each(1, values))
    assert found[200:202] == [None, None]
    assert found[:200] + found[202:] == usual
    assert True in usual


def test_a_window_of_adwin_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(adwin, "MAX_ROWS", 6)
    state, rng = adwin.AdwinState(), random.Random(2)
    values = [rng.gauss(3, 1) for _ in range(2_000)]
    for value in values:
        state, _ = adwin.update(state, value, adwin.AdwinSettings(1e-9, 32, 10))
    assert len(state.rows) <= 6
    assert 150 < state.width <= 6 * 63
    window = values[-state.width :]
    mean = sum(window) / len(window)
    assert state.total == pytest.approx(sum(window))
    assert state.squares == pytest.approx(sum((value - mean) ** 2 for value in window))
