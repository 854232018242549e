"""What a person does, without a command: typed results and typed errors, on a real broker and engine."""

from __future__ import annotations

import pytest

from parallelm.connections import Settings
from parallelm.operations import dead_letters, definitions, questions
from parallelm.operations.errors import (
    InvalidFileError,
    QuestionError,
    UnknownFieldError,
    UnknownMLAppError,
    UnknownTopicError,
)
from parallelm.operations.topic_records import FieldFilter, find_topic, read_records
from parallelm.schemas.errors import TopicsError
from parallelm.schemas.topic_reader import StartPoint
from parallelm.schemas.topics import MLAPPS
from tests.people import person

FILE = b"""
mlapp: app
nodes:
  - {id: train, type: auxiliary}
"""


@pytest.mark.usefixtures("topics")
def test_a_definition_is_validated_applied_and_found(settings: Settings):
    wanted = definitions.validate_definition(FILE, "app.yaml")
    assert definitions.list_definitions(settings) == []
    first = definitions.apply_definition(settings, wanted, who=person("ada"))
    assert (first.is_new, first.definition.version, first.definition.applied_by) == (True, 1, "ada")
    again = definitions.apply_definition(settings, wanted, who=person("grace"))
    assert (again.is_new, again.definition.version, again.definition.applied_by) == (False, 1, "ada")
    found = definitions.get_definition(settings, "app")
    assert (found.version, found.source_yaml) == (1, FILE.decode())
    with pytest.raises(UnknownMLAppError, match="there is no MLApp 'other'; there are: app"):
        definitions.get_definition(settings, "other")
    [record] = read_records(settings, MLAPPS, StartPoint("beginning"), mlapp_id="app")
    assert record.value == found


def test_a_file_with_mistakes_is_refused_with_their_places():
    with pytest.raises(InvalidFileError, match=r"app.yaml is not a valid MLApp file:\napp.yaml:1:"):
        definitions.validate_definition(b"mlap: app", "app.yaml")
    with pytest.raises(InvalidFileError, match="is not UTF-8"):
        definitions.validate_definition(b"\xff", "app.yaml")


def test_topics_and_fields_that_do_not_exist_are_named(settings: Settings):
    with pytest.raises(UnknownTopicError, match="unknown topic 'speed'; there are: "):
        find_topic("speed", "")
    with pytest.raises(UnknownTopicError):
        dead_letters.list_dead_letters(settings, dead_letters.Selection(topic="speed"))
    with pytest.raises(UnknownFieldError, match="MLAppDefinition has no field 'colour'"):
        read_records(settings, MLAPPS, StartPoint("end"), [FieldFilter(("colour",), "red")])
    with pytest.raises(TopicsError, match="is not on the cluster"):
        list(read_records(settings, MLAPPS, StartPoint("end")))


@pytest.mark.usefixtures("tables")
def test_dead_letters_of_an_empty_warehouse_are_none(settings: Settings):
    found = dead_letters.list_dead_letters(settings, dead_letters.Selection(topic="events"))
    assert found.empty
    assert dead_letters.replayable(settings, found) == dead_letters.Replayable([], [])


@pytest.mark.usefixtures("tables")
def test_a_question_is_answered_or_refused(settings: Settings):
    assert questions.ask(settings, "SELECT toUInt64(9007199254740993) AS n").loc[0, "n"] == 2**53 + 1
    with pytest.raises(QuestionError, match="there is no SQL to run"):
        questions.ask(settings, " \n")


@pytest.mark.parametrize(
    "sql",
    [
        "insert into kpis values",
        "/* note */ INSERT INTO kpis VALUES",
        "-- note\nINSERT INTO kpis FORMAT CSV",
        "# note\nINSERT INTO kpis VALUES -- SELECT",
        "INSERT INTO kpis (name) VALUES ('SELECT')",
    ],
)
def test_an_insert_that_waits_for_rows_is_refused(sql: str):
    with pytest.raises(QuestionError, match="INSERT works only with a SELECT"):
        questions.ask(Settings(), sql)
