"""How an MLApp file says what agents run: what comes of it, and every mistake at its line."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from parallelm.definitions import DefinitionError, parse_definition, running_of, to_record
from parallelm.definitions.hints import hints_of
from parallelm.definitions.running import ResourcesForm, RunningForm, ScheduleForm, StepForm

if TYPE_CHECKING:
    from parallelm.schemas.records import MLAppDefinition


def record_of(nodes: str, version: int = 1) -> MLAppDefinition:
    text = "mlapp: shop\nnodes:\n" + textwrap.indent(textwrap.dedent(nodes), "  ")
    return to_record(parse_definition(text, "f"), text, version=version, applied_by="me", event_time_ms=0)


def only_running(nodes: str) -> RunningForm | None:
    return running_of(record_of(nodes).nodes[0])


def mistakes(nodes: str) -> list[str]:
    """Without the two lines before the nodes, and their indent."""
    with pytest.raises(DefinitionError) as caught:
        record_of(nodes)
    return [f"{found.line - 2}:{found.column - 2}: {found.message}" for found in caught.value.problems]


def test_a_node_with_neither_steps_nor_a_pipeline_is_started_by_somebody_else():
    (node,) = record_of('- {id: a, type: auxiliary, schedule: "0 3 * * *"}').nodes
    assert node.running_json == "{}"
    assert node.schedule == "0 3 * * *"
    assert running_of(node) is None


def test_a_pipeline_that_is_a_text_is_one_command():
    running = only_running('- {id: a, type: auxiliary, schedule: "0 3 * * *", pipeline: python x.py}')
    assert running is not None
    assert running.steps == [StepForm(id="step-1", command="python x.py")]
    assert running.schedule == ScheduleForm(cron="0 3 * * *", timezone="UTC")
    assert (
        record_of("- {id: a, type: auxiliary, pipeline: [python, a b.py]}").nodes[0].pipeline
        == "python 'a b.py'"
    )


def test_everything_that_the_file_says_comes_back_from_the_record():
    record = record_of("""
        - id: train
          type: model_producer
          steps:
            - component: load
              arguments: {rows: 1000, rate: 0.5, header: true, path: /data, limit: null}
            - id: fit
              component: trainer
              parents: [{parent: load, output: table, input: samples}]
            - command: [python, report.py]
          schedule: {cron: "30 2 * * *", timezone: Europe/Berlin, missed: run_all, overlap: queue, jitter: 5m, deadline: 2h}
          triggers: [{after: check, on: failure}, {event: DataReady}]
          agents: {gpu: "yes"}
          parallelism: 3
          placement: movable
          lease: 1m
          environment: {OMP_NUM_THREADS: "4"}
          secrets: {DB_PASSWORD: "file:/run/secrets/db", API_TOKEN: "env:SHOP_TOKEN"}
          resources: {cpus: 2.5, memory: 4Gi, gpus: 1}
          retry: {limit: 3, delay: 10s}
          time_limit: 6h
          stop_grace: 1m
          logs: {keep: 30d, max_size: 1Gi, lines_per_second: 50}
        - {id: check, type: pipeline_comparator, pipeline: ./check, triggers: [{model: train}, {deployed: serve}], runner: kubernetes, image: shop/check:1}
        - id: serve
          type: model_consumer
          mode: online
          pipeline: ./serve
          parents: [train]
          default_model: first
          restart: {when: on_failure, limit: 5}
          model_delivery: {by: signal, signal: SIGUSR1, smoke_test: ./try-it}
    """)
    train, check, serve = (running_of(node) for node in record.nodes)
    assert train is not None
    assert [step.id for step in train.steps] == ["load", "fit", "step-3"]
    assert train.steps[0].arguments == {
        "rows": 1000, "rate": 0.5, "header": True, "path": "/data", "limit": None,
    }  # fmt: skip
    assert train.schedule is not None
    assert (train.schedule.timezone, train.schedule.jitter, train.lease) == ("Europe/Berlin", 300_000, 60_000)
    assert check is not None
    assert (check.triggers[0].model, check.triggers[1].deployed) == ("train", "serve")
    assert (check.runner, check.image) == ("kubernetes", "shop/check:1")
    assert serve is not None
    assert (serve.model_delivery.signal, serve.restart.limit) == ("SIGUSR1", 5)
    assert record.nodes[0].schedule == "30 2 * * *"
    again = dataclasses.replace(record.nodes[0], running_json=train.model_dump_json())
    assert running_of(again) == train


def test_mistakes_of_every_kind_are_reported_at_their_line_in_one_go():
    assert mistakes("""\
- id: train
  type: model_producer
  steps:
    - {component: load, command: x}
    - {component: load, parents: [{parent: laod, output: t}, {parent: fit, output: t}]}
    - {id: fit}
    - {id: last, command: "", arguments: {a: [1], b: .inf}}
    - {id: own, command: run, arguments: {a: 1}, parents: [{parent: own, output: t}]}
  schedule: {cron: "0 3 * *", timezone: Europe/Berln, overlap: skp, jitter: 5}
  triggers: [{after: serve, model: train}, {on: success}, {after: nowhere}, {model: serve}, {after: hand}, {deployed: hand}]
  restart: {delay: 1s}
  default_model: m
  lease: 1m
  image: shop/train
  resources: {memory: 4 GB, cpus: 0, gpus: -1}
  environment: {1X: a, DB_PASSWORD: hunter2, PM_MLAPP_ID: x, BOTH: "1", N: 4}
  secrets: {KEY: hunter2, BOTH: "env:B"}
  retry: {limit: 1, delay: 2h, max_delay: 1h}
  parallelism: 0
- id: serve
  type: model_consumer
  mode: online
  pipeline: ./serve
  schedule: "0 3 * * *"
  time_limit: 1h
  runner: kubernetes
  model_delivery: {by: restart, signal: SIGHUP}
- {id: hand, type: auxiliary, parallelism: 2, schedule: {cron: "0 3 * * *"}}
- {id: two, type: auxiliary, pipeline: a, steps: [{command: b}], runner: docker}
- {id: wrong, type: auxiliary, pipeline: 7}
""") == [
        "4:7: a step runs either a component or a command",
        "5:19: step 'load' is there already; give this one an id of its own",
        "5:44: unknown step 'laod'; did you mean 'load'?",
        "5:71: step 'fit' comes later; steps run in the order in which they are listed",
        "5:84: input 't' is given twice; give this one another name by 'input'",
        "6:7: a step runs either a component or a command",
        "7:18: nodes[0].steps[3].command is not valid: a command is a text, which the shell runs, or a list of a program and its arguments",
        "7:42: arguments are for components; write them into the command",
        "7:46: nodes[0].steps[3].arguments.a is not valid: an argument is a text, a number, true, false or null",
        "7:54: nodes[0].steps[3].arguments.b is not valid: inf is no finite number; put it in quotes to hand it on as text",
        "8:42: arguments are for components; write them into the command",
        "8:69: a step cannot be its own input; steps run in the order in which they are listed",
        "9:20: nodes[0].schedule.cron is not valid: '0 3 * *' has 4 fields, a cron expression has five (minute, hour, day of month, month, day of week)",
        "9:41: nodes[0].schedule.timezone is not valid: there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        "9:64: nodes[0].schedule.overlap is 'skp'; did you mean 'skip'?",
        "9:77: nodes[0].schedule.jitter is not valid: 5 is not a duration; write a number with its unit, as in 30s, 15m, 1h30m, 3d or 2w",
        "10:14: a trigger needs exactly one of after, model, deployed and event; this one has after and model",
        "10:44: a trigger needs exactly one of after, model, deployed and event",
        "10:49: 'on' goes with 'after': it tells which ends of that node's runs count",
        "10:67: unknown node 'nowhere'; there are: train, serve, hand, two, wrong",
        "10:85: node 'serve' is of type model_consumer, which produces no models",
        "10:101: agents do not run node 'hand': it has neither steps nor a pipeline, so no run of it ends",
        "10:119: node 'hand' is of type auxiliary: no models are deployed to it",
        "11:12: 'restart' is for nodes of mode online; an offline one begins a new run, with retry for failures",
        "12:18: 'default_model' has no effect: nodes of type model_producer consume no models",
        "13:10: 'lease' has no effect on pinned runs, which are never moved; add placement: movable",
        "14:10: 'image' has no effect without runner: kubernetes",
        "15:23: nodes[0].resources.memory is '4 GB': must be an amount of bytes, as in 512Mi or 4Gi",
        "15:35: nodes[0].resources.cpus is 0: should be greater than 0",
        "15:44: nodes[0].resources.gpus is -1: should be greater than or equal to 0",
        "16:21: nodes[0].environment.1X is '1X': the name of a variable has letters, digits and '_', and does not start with a digit",
        "16:37: DB_PASSWORD looks like a secret, and whoever may read the MLApp sees its value; write it under secrets, as DB_PASSWORD: file:/run/secrets/db_password",
        "16:59: PM_MLAPP_ID has no effect: agents set it themselves",
        "16:68: BOTH is among the secrets too; remove one of them",
        "16:76: nodes[0].environment.N must be text; put it in quotes if it looks like a number, true, false or null",
        "17:18: nodes[0].secrets.KEY must tell where the secret is found, as file:/run/secrets/NAME or env:NAME on hosts, kubernetes:SECRET/KEY in a cluster; its value does not belong in a definition",
        "18:43: retry.max_delay is shorter than its delay",
        "19:16: nodes[0].parallelism is 0: should be greater than or equal to 1",
        "24:13: 'schedule' is for nodes of mode offline; an online one runs until it is stopped",
        "25:15: 'time_limit' is for nodes of mode offline; an online one runs until it is stopped",
        "27:41: 'signal' has no effect without by: signal",
        "28:44: 'parallelism' has no effect: agents run a node that has steps or a pipeline",
        "28:57: 'schedule' has no effect: agents run a node that has steps or a pipeline",
        "29:50: a node has either steps, or a pipeline that is one command",
        "29:74: nodes[3].runner is 'docker'; there are: process, kubernetes",
        "30:42: nodes[4].pipeline is not valid: a command is a text, which the shell runs, or a list of a program and its arguments",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("- {id: a, type: auxiliary, pipeline: x, triggers: [{after: a}]}", "node 'a' is run by its own runs, without end"),
        ("- {id: a, type: model_producer, pipeline: x, triggers: [{model: a}]}", "node 'a' is run by its own runs, without end"),
        ("""\
- {id: a, type: model_producer, pipeline: x, triggers: [{after: b}]}
- {id: b, type: auxiliary, pipeline: x, triggers: [{model: a}]}
""", "nodes 'a', 'b' are run by each other's runs, without end"),
    ],
)  # fmt: skip
def test_runs_that_make_each_other_due_without_end_are_refused(nodes: str, expected: str):
    assert [line.partition(": ")[2] for line in mistakes(nodes)] == [expected]


@pytest.mark.parametrize(("policy", "is_endless"), [("always_update", True), ("manual", False)])
def test_a_node_that_its_own_models_make_due_is_endless_unless_somebody_lets_them_pass(
    policy: str, is_endless: bool
):
    text = f"""\
mlapp: x
policy: {{model_policy: {policy}}}
nodes: [{{id: a, type: model_producer_consumer, pipeline: x, triggers: [{{deployed: a}}]}}]
"""
    if not is_endless:
        parse_definition(text, "f")
        return
    with pytest.raises(DefinitionError, match="node 'a' is run by its own runs, without end"):
        parse_definition(text, "f")


def test_a_run_that_is_due_before_its_model_is_deployed_is_hinted_at():
    def hints(policy: str, trigger: str) -> list[str]:
        text = f"""\
mlapp: x
policy: {policy}
nodes:
  - {{id: fit, type: model_producer, pipeline: x}}
  - {{id: sort, type: model_consumer, pipeline: x, triggers: [{trigger}]}}
"""
        form = parse_definition(text, "f")
        return list(hints_of(to_record(form, text, version=1, applied_by="a", event_time_ms=0)))

    (found,) = hints("{model_policy: manual}", "{model: fit}")
    assert "{deployed: sort}" in found
    assert hints("{model_policy: always_update, cool_down: 1h}", "{model: fit}")
    assert not hints("{model_policy: always_update}", "{model: fit}")
    assert not hints("{model_policy: manual}", "{deployed: sort}")


def test_what_no_cluster_can_do_is_refused_and_an_image_may_be_the_agents():
    assert mistakes("""\
- id: a
  type: model_consumer
  mode: online
  pipeline: x
  runner: kubernetes
  placement: movable
  model_delivery: {by: signal}
  secrets: {A: "env:A", B: "kubernetes:b", C: "kubernetes:c/d"}
""") == [
        "6:14: movable is for processes on hosts; Kubernetes moves Pods by itself: leave it out",
        "7:24: a signal does not reach a Pod; write restart or question",
        "8:16: a Pod has the cluster's secrets only; write kubernetes:SECRET/KEY",
        "8:28: a Pod has the cluster's secrets only; write kubernetes:SECRET/KEY",
    ]
    running = only_running("- {id: a, type: auxiliary, pipeline: x, runner: kubernetes}")
    assert running is not None
    assert running.image is None


def test_training_anew_after_a_failed_comparison_is_no_endless_circle():
    record_of("""
        - {id: a, type: model_producer, pipeline: x, triggers: [{after: b, on: failure}]}
        - {id: b, type: pipeline_comparator, pipeline: x, triggers: [{model: a}]}
    """)


def test_no_message_shows_what_was_given_as_a_secret():
    assert "hunter2" not in str(mistakes("- {id: a, type: auxiliary, pipeline: x, secrets: {KEY: hunter2}}"))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("retry: {delay: 1s}", "1:48: 'retry' has no effect without a limit of 1 or more"),
        (
            'schedule: {cron: "0 3 * * *", jitter: 1h, deadline: 30m}',
            "1:93: schedule.deadline is not longer than its jitter: runs could be missed before they may begin",
        ),
    ],
)
def test_times_that_leave_nothing_of_each_other_are_refused(keys: str, expected: str):
    assert mistakes(f"- {{id: a, type: auxiliary, pipeline: x, {keys}}}") == [expected]


def test_secrets_do_not_hide_in_arguments_and_parameters():
    (found,) = mistakes(
        "- {id: a, type: auxiliary, steps: [{component: c, arguments: {db-password: hunter2, eos_token: x}}]}"
    )
    assert found.startswith(
        "1:76: db-password looks like a secret, and whoever may read the MLApp sees its value"
    )
    assert "hunter2" not in found
    text = "mlapp: x\nparameters: {api_key: hunter2}\nnodes: [{id: a, type: auxiliary, pipeline: 'x ${parameters.api_key}'}]\n"
    with pytest.raises(DefinitionError, match="2:23: api_key looks like a secret"):
        parse_definition(text, "f")


def test_a_changed_key_is_a_new_version_and_a_default_written_out_is_none():
    from parallelm.definitions import next_version

    def record(more: str) -> MLAppDefinition:
        return record_of(f"- {{id: a, type: auxiliary, pipeline: x{more}}}")

    assert next_version(record(""), record(", parallelism: 1, stop_grace: 30s")) is None
    assert next_version(record(""), record(", stop_grace: 31s")) is not None


@pytest.mark.parametrize("amount", ["9" * 400, "0." + "1" * 400, "9" * 16 + "Ti"])
def test_amounts_of_memory_that_no_host_has_are_mistakes(amount: str):
    with pytest.raises(ValidationError):
        ResourcesForm(memory=amount)
    assert ResourcesForm(memory="9" * 15 + "Ti")


def test_texts_that_no_program_can_be_given_are_refused():
    found = mistakes(
        '- {id: a, type: auxiliary, steps: [{command: [echo, "a\\0b"]}], secrets: {A: "file:/x\\0y"}, logs: {max_size: 9999999999999999Mi}}'
    )

    assert sum("has a NUL character, which no program can be given" in each for each in found) == 2
    assert len(found) == 3
