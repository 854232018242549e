"""Dead letters listed, shown, sent again and dropped, as a user does it, with the sink running."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING

import pytest

from parallelm.operations.dead_letters import Answers, Selection, list_dead_letters
from parallelm.operations.errors import ReplayError
from parallelm.schemas import topics
from parallelm.sinks import DeadLetterLimit
from tests.people import person
from tests.sinks import samples
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

    from tests.sinks.conftest import Platform


@pytest.fixture
def letters(platform: Platform) -> Iterator[list[object]]:
    """An event that the sink gave up on, the same one from the processors, one that was cut, and a gone one."""
    prefix = platform.settings.kafka.topic_prefix
    value = platform.codec.encode(samples.event())
    of_sink = dataclasses.replace(
        samples.dead_letter_of(f"{prefix}events", b"app", value),
        consumer_group=f"{prefix}sink",
        stage="insert",
    )
    found = [
        of_sink,
        dataclasses.replace(of_sink, consumer_group=f"{prefix}processors", stage="mlapp", source_offset=10),
        dataclasses.replace(of_sink, source_offset=11, is_cut=True),
        dataclasses.replace(of_sink, source_offset=12, stage="retention", key=None, value=None),
        dataclasses.replace(of_sink, source_topic=f"{prefix}mlapps", source_offset=13),
    ]
    with platform.sink():
        for letter in found:
            platform.send(topics.DEAD_LETTERS, letter, flush=False)
        platform.flush()
        platform.wait("SELECT count() FROM dead_letters", len(found))
        yield found


def listed(command: Callable[..., Result], *options: str) -> list[dict[str, object]]:
    return json.loads(command("dead-letters", "list", "--format", "json", *options).stdout)


def test_a_replay_reaches_the_consumer_that_gave_up_and_no_other_and_no_second_one_sends_it(
    platform: Platform, command: Callable[..., Result], letters: list[object]
):
    first = command("dead-letters", "replay", "--yes", "--who", "anna", "--comment", "column mended").output
    for reason in ("they were too large", "retention had deleted them", "on their topics the newest record"):
        assert f"1 of them are left out: {reason}" in first
    assert "sent 2 records again" in first
    assert "nothing to send" in command("dead-letters", "replay", "--yes").output
    # A marker behind both: when it is a row, the sink has passed them.
    platform.send(topics.EVENTS, dataclasses.replace(samples.event(), type="marker"))
    platform.wait("SELECT count() FROM events WHERE type = 'marker'", 1)
    assert platform.value("SELECT count() FROM events WHERE type != 'marker'") == 1
    answered = [each for each in listed(command, "--all") if each["state"] == "replayed"]
    assert {(each["stage"], each["who"], each["comment"]) for each in answered} == {
        ("insert", "anna", "column mended"),
        ("mlapp", "anna", "column mended"),
    }
    assert len(listed(command)) == len(letters) - 2


def test_letters_are_selected_shown_and_dropped(
    platform: Platform, command: Callable[..., Result], letters: list[object]
):
    assert len(listed(command, "--stage", "insert")) == 3
    assert len(listed(command, "--topic", "mlapps")) == 1
    assert listed(command, "--from", "2100-01-01") == []
    assert len(listed(command, "--limit", "2")) == 2
    chosen = next(each for each in listed(command, "--topic", "mlapps"))
    beginning = str(chosen["letter_id"])[:10]
    shown = command("dead-letters", "show", beginning).output
    assert "wrong" in shown
    assert "Event {" in shown
    assert "no dead letters have an id" in command("dead-letters", "show", "zz", exit_code=1).output
    assert "--comment" in command("dead-letters", "drop", "--id", beginning, "--yes", exit_code=2).output
    dropped = command("dead-letters", "drop", "--id", beginning, "--comment", "old", "--yes").output
    assert "dropped 1 record" in dropped
    assert (
        "nothing to drop"
        in command("dead-letters", "drop", "--id", beginning, "--comment", "", "--yes").output
    )
    [row] = listed(command, "--all", "--id", beginning)
    assert (row["state"], row["comment"]) == ("dropped", "old")
    assert len(letters) == 5
    assert platform.value("SELECT count() FROM actions WHERE action = 'drop_dead_letter'") == 1


def test_of_two_that_replay_at_once_only_the_later_sends(platform: Platform, letters: list[object]):
    settings = platform.settings
    selected = list(list_dead_letters(settings, Selection(stage="mlapp"))["letter_id"])
    assert len(selected) < len(letters)
    earlier, later = Answers(settings), Answers(settings)
    with pytest.raises(ReplayError, match="another process answers dead letters"):
        earlier.give("replay_dead_letter", selected, who=person("a"), comment="")
    assert later.give("replay_dead_letter", selected, who=person("b"), comment="") == 1
    platform.wait("SELECT count() FROM actions", 1)
    assert platform.value("SELECT who FROM dead_letters WHERE state = 'replayed'") == "b"


def test_a_topic_that_too_many_dead_letters_stopped_goes_on_when_they_were_dropped(
    platform: Platform, command: Callable[..., Result]
):
    for _ in range(30):
        platform.send(topics.EVENTS, b"poison", partition=0, flush=False)
    for partition in (0, 1):
        platform.send(topics.EVENTS, samples.event(), partition=partition)
    with platform.sink(dead_letter_limit=DeadLetterLimit(max_run=20)) as sink:
        platform.wait("SELECT count() FROM dead_letters", 30)
        wait_for(lambda: "30 records one after another" in sink.stalls(), sink.stalls)
        [told] = re.findall(r"`mcenter (dead-letters drop --topic \S+events --comment) …`", sink.stalls())
        assert "dropped 30 records" in command(*told.split(), "JSON", "--yes").output
        platform.wait("SELECT count() FROM events", 2)
        platform.wait("SELECT (count(), countIf(state = 'open')) FROM dead_letters", (30, 0))
        assert not sink.stalls()


def test_while_the_sink_is_behind_nothing_is_sent(platform: Platform):
    prefix = platform.settings.kafka.topic_prefix
    with platform.sink():
        platform.send(topics.DEAD_LETTERS, samples.dead_letter_of(f"{prefix}events", b"app", b"\xff"))
        platform.wait("SELECT count() FROM dead_letters", 1)
    platform.send(topics.DEAD_LETTERS, samples.dead_letter_of(f"{prefix}kpis", b"app", b"\xff"))
    with pytest.raises(ReplayError, match=r"the sink is 1 records behind .* Nothing was sent"):
        Answers(platform.settings, timeout_s=1.0)
