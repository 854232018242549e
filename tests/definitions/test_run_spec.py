"""What an agent is given to run comes back from its JSON as it was."""

from __future__ import annotations

from parallelm.definitions.run_spec import RunSpec
from parallelm.definitions.running import RestartForm, RunningForm, ScheduleForm, StepForm


def test_a_specification_comes_back_from_its_json():
    spec = RunSpec(
        mlapp_id="churn",
        mlapp_name="Churn",
        definition_version=3,
        node_id="train",
        node_type="model_producer",
        mode="offline",
        pipeline_instance_id="churn-train-0",
        run_id="r-1",
        running=RunningForm(
            steps=[StepForm(component="trainer", arguments={"depth": 3, "rate": 0.5, "fast": True})],
            schedule=ScheduleForm(cron="0 3 * * *", timezone="Europe/Berlin", jitter="1h30m"),
            restart=RestartForm(delay="1500ms"),
        ),
    )
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    assert '"1s500ms"' in spec.model_dump_json()
