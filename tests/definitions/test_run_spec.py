"""What an agent is given to run comes back from its JSON as it was, or is refused with the place of what is wrong."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from parallelm.definitions.errors import SpecificationError
from parallelm.definitions.run_spec import ComponentSpec, InputSpec, ModelSpec, RunningSpec, RunSpec, StepSpec
from parallelm.definitions.running import (
    InputForm,
    ResourcesForm,
    RestartForm,
    RunningForm,
    ScheduleForm,
    StepForm,
)

SPEC = RunSpec(
    mlapp_id="churn",
    mlapp_name="Churn",
    definition_version=3,
    node_id="train",
    node_type="model_producer",
    mode="offline",
    pipeline_instance_id="churn-train-0",
    run_id="r-1",
    running=RunningForm(
        steps=[
            StepForm(component="trainer", arguments={"depth": 3, "rate": 0.5, "fast": True, "no": None}),
            StepForm(command=["python", "x.py"]),
        ],
        schedule=ScheduleForm(cron="0 3 * * *", timezone="Europe/Berlin", jitter="1h30m"),
        resources=ResourcesForm(cpus=2),
        restart=RestartForm(delay="1500ms"),
        components=[ComponentSpec(name="trainer", artifact_url="file:///c", sha256="00")],
    ).spec(),
)


def test_a_specification_comes_back_from_its_json():
    assert RunSpec.of_json(SPEC.json()) == SPEC
    assert RunSpec.of(json.loads(json.dumps(SPEC.table()))) == SPEC
    assert SPEC.running.restart.delay == 1500
    assert "schedule" not in SPEC.json()
    with_model = replace(SPEC, model=ModelSpec(model_id="m", artifact_url="file:///m", signing_keys=["k"]))
    assert RunSpec.of_json(with_model.json()) == with_model


def test_what_agents_take_for_granted_is_what_the_forms_do():
    told = RunningForm().model_dump(include={field.name for field in fields(RunningSpec)})
    assert RunningSpec.of(told) == RunningForm().spec() == RunningSpec()
    assert StepSpec.of(StepForm().model_dump()) == StepSpec()
    given = InputForm(parent="a", output="b")
    assert InputSpec.of(given.model_dump()) == InputSpec(parent="a", output="b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mlapp_id": 7}, "mlapp_id must be text, and is 7"),
        ({"mode": "always"}, 'mode must be one of offline, online, and is "always"'),
        ({"attempt": True}, "attempt must be a whole number, and is true"),
        ({"running": []}, "running must be a mapping, and is []"),
        ({"running": {"steps": {}}}, "running.steps must be a list, and is {}"),
        ({"running": {"steps": [{}, {"id": 1}]}}, "running.steps.1.id must be text, and is 1"),
        ({"running": {"steps": [{"arguments": {"a": []}}]}}, "running.steps.0.arguments.a must be text, and is []"),
        ({"running": {"components": [{"sha256": "0"}]}}, "running.components.0.name, running.components.0.artifact_url: missing"),
        ({"running": {"warmth": 1, "age": 2}}, "running.age, running.warmth: unknown here; the control plane may be"),
        ({"model": {}}, "model.model_id, model.artifact_url: missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_specification_is_said_with_its_place(change: dict[str, Any], message: str):
    with pytest.raises(SpecificationError) as caught:
        RunSpec.of(json.loads(SPEC.json()) | change)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_what_is_no_mapping_is_no_specification(text: str):
    with pytest.raises(SpecificationError):
        RunSpec.of_json(text)
