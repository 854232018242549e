"""MLApp folders of the original platform come over, and go back, with every difference told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.definitions.marked_yaml import read_marked
from parallelm.operations import definitions
from parallelm.operations.errors import InvalidFileError
from parallelm.operations.original_folders import export_mlapp, import_folder
from tests.people import person

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings

TRAINER = {
    "engineType": "Generic", "language": "Python", "userStandalone": True, "name": "sk_train", "label": "Trainer",
    "version": "1.2", "group": "Algorithms", "program": "train.py", "modelBehavior": "ModelProducer", "useMLOps": True,
    "inputInfo": [{"description": "rows", "label": "samples", "defaultComponent": "", "type": "csv", "group": "data"}],
    "outputInfo": [{"description": "", "label": "model", "type": "pickle", "defaultComponent": "", "group": ""}],
    "arguments": [
        {"key": "trees", "type": "int", "label": "Trees", "description": "how many", "optional": True, "defaultValue": "100", "envVar": "TREES"},
        {"key": "model-dir", "type": "string", "label": "", "description": "", "optional": False, "tag": "model_dir"},
        {"key": "rate", "type": "float", "label": "", "description": "", "optional": True, "defaultValue": "fast"},
    ],
    "deps": ["scikit-learn"], "excludeGlobPatterns": "*.csv | tests",
}  # fmt: skip
LOADER = {
    "engineType": "Generic", "language": "Python", "userStandalone": True, "name": "load", "program": "load.py",
    "outputInfo": [{"label": "samples", "type": "csv"}], "arguments": [{"key": "rows", "type": "int"}],
}  # fmt: skip
SERVER = {
    "engineType": "Generic", "language": "Java", "userStandalone": "false", "componentClass": "MCenterServing",
    "name": "serve", "program": "serve.jar", "arguments": [{"key": "port", "tag": "public_port"}],
}  # fmt: skip
MLAPP = {
    "version": "2.0", "name": "Train & Predict", "modelPolicy": "Manual", "globalThreshold": 0.4, "canaryThreshold": 0, "colour": "red",
    "nodes": {
        "training": {"parent": [], "group": "gpus", "pipeline": "pipelines/train.json", "cronSchedule": "0 30 2 ? * 2-6"},
        "inference": {"parent": "training", "pipeline": "predict", "defaultModelPath": "models/first.pkl", "defaultModelFormat": "ScikitLearn_3"},
        "after": {"parent": "inference", "pipeline": "pipelines/after.json", "defaultModelPath": "deep"},
        "hourly": {"parent": ["training", "nowhere"], "pipeline": "pipelines/old.json", "cronSchedule": "0/10 * * * * ?"},
    },
}  # fmt: skip
PIPELINES = {
    "train": {
        "version": "2.0", "name": "Training", "engineType": "Generic", "pipelineType": "model_producer",
        "pipe": {
            "fit": {"componentName": "sk_train", "arguments": {"trees": "50"}, "parents": [{"parent": "load", "output": "samples"}]},
            "load": {"componentName": "load", "arguments": {"rows": 10}},
        },
    },
    "predict": {"version": "2.0", "name": "Serving", "engineType": "RestModelServing", "pipelineType": "ModelConsumer",
                "pipe": {"s": {"componentName": "serve", "arguments": {}}}},
    "after": {"version": "2.0", "name": "After", "engineType": "Generic", "pipelineType": "model_consumer",
              "pipe": {"l": {"componentName": "load", "arguments": {"rows": 7}}}},
    "old": {
        "version": "1.0", "name": "Old", "engineType": "Generic", "pipelineType": "auxiliary",
        "pipe": [
            {"name": "Load it", "id": 1, "type": "load", "parents": [], "arguments": {"rows": 5}},
            {"name": "Fit it", "id": 2, "type": "sk_train", "parents": [{"parent": 1, "output": 0, "input": 0}], "arguments": {"x": {"a": 1}}},
            {"name": "Look", "id": 3, "type": "gone", "parents": [{"parent": 2, "output": 0, "input": 0}], "arguments": {}},
        ],
    },
}  # fmt: skip


@pytest.fixture
def original(tmp_path: Path) -> Path:
    folder = tmp_path / "original"
    _write(folder / "mlapp.json", MLAPP)
    for name, pipeline in PIPELINES.items():
        _write(folder / "pipelines" / f"{name}.json", pipeline)
    for component in (TRAINER, LOADER, SERVER):
        name, program = str(component["name"]), str(component["program"])
        _write(folder / "components" / name / "component.json", component)
        (folder / "components" / name / program).write_text("pass\n")
    (folder / "components" / "sk_train" / "big.csv").write_text("1\n")
    (folder / "models" / "deep").mkdir(parents=True)
    (folder / "models" / "deep" / "weights").write_text("w")
    (folder / "models" / "first.pkl").write_text("m")
    return folder


def _write(file: Path, document: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))


def test_a_folder_comes_over_with_every_difference_told(original: Path, tmp_path: Path):
    found = import_folder(original, tmp_path / "new", timezone="Europe/Berlin")
    assert read_marked(found.file.read_text(), "f").value == {
        "mlapp": "Train-Predict",
        "name": "Train & Predict",
        "nodes": [
            {
                "id": "training",
                "type": "model_producer",
                "schedule": {"cron": "30 2 * * 1-5", "timezone": "Europe/Berlin"},
                "agents": {"group": "gpus"},
                "steps": [
                    {"component": "load", "arguments": {"rows": 10}},
                    {"component": "sk_train", "id": "fit", "arguments": {"trees": 50}, "parents": [{"parent": "load", "output": "samples"}]},
                ],
            },
            {"id": "inference", "type": "model_consumer", "mode": "online", "parents": ["training"],
             "steps": [{"component": "serve", "id": "s"}], "default_model": "Train-Predict-first"},
            {"id": "after", "type": "model_consumer", "parents": ["inference"],
             "steps": [{"component": "load", "id": "l", "arguments": {"rows": 7}}], "default_model": "Train-Predict-deep"},
            {
                "id": "hourly",
                "type": "auxiliary",
                "parents": ["training"],
                "steps": [
                    {"component": "load", "id": "Load-it", "arguments": {"rows": 5}},
                    {"component": "sk_train", "id": "Fit-it", "arguments": {"x": '{"a": 1}'}, "parents": [{"parent": "Load-it", "output": "samples"}]},
                    {"component": "gone", "id": "Look", "parents": [{"parent": "Fit-it", "output": "model"}]},
                ],
            },
        ],
        "policy": {"model_policy": "manual", "health_threshold": 0.4},
    }  # fmt: skip
    trainer = found.file.parent / "components" / "sk_train"
    assert read_marked((trainer / "component.yaml").read_text(), "f").value["arguments"] == {
        "trees": {"type": "integer", "label": "Trees", "description": "how many", "default": 100, "variable": "TREES", "optional": True},
        "model-dir": {"tag": "model_dir"},
        "rate": {"type": "number", "optional": True},
    }  # fmt: skip
    assert (trainer / "train.py").read_text() == "pass\n"
    models = found.file.parent / "models"
    assert (models / "first.pkl").read_text() == "m"
    assert (models / "deep" / "weights").read_text() == "w"
    assert not (trainer / "component.json").exists()
    assert [str(note) for note in found.notes] == [
        "mlapp.json: colour: 'red' is not carried over: there is no such key here",
        "mlapp.json: nodes.training.group: start the agents of that group with --labels group=gpus",
        "predict: engineType: 'RestModelServing' does not run here: its steps are started as programs",
        "mlapp.json: nodes.hourly.parent: there is no node 'nowhere': it is left out",
        "mlapp.json: nodes.hourly.cronSchedule: '0/10 * * * * ?' runs several times a minute, which a schedule cannot: the node has no schedule now",
        "pipelines/old.json: pipe.3.type: component 'gone' is not among the folders: put it into components/",
        (
            "mlapp.json: nodes.inference.defaultModelPath: when the MLApp is applied, before it is launched: "
            f"`mcenter models upload {models}/first.pkl --format ScikitLearn_3 --mlapp Train-Predict --model-id Train-Predict-first`"
        ),
        "mlapp.json: nodes.after.defaultModelFormat: '' is not known here: choose one for --format below",
        (
            f"mlapp.json: nodes.after.defaultModelPath: when the MLApp is applied, before it is launched: `tar -czf {models}/deep.tar.gz "
            f"-C {models}/deep . && mcenter models upload {models}/deep.tar.gz --format Unknown --mlapp Train-Predict --model-id Train-Predict-deep`"
        ),
        "mlapp.json: nodes.after: it has no schedule, and no parents whose runs end: it runs once at each launch; triggers can run it on new models",
        "mlapp.json: canaryThreshold: 0 is no number above 0: there is none",
        "components/load/component.json: outputInfo: files are passed on by path: in MCENTER_OUTPUT_…, or in an argument that names the output",
        "components/serve/component.json: userStandalone: the original's engine loaded MCenterServing as a class: make it a program that takes --name value of each argument",
        "components/sk_train/component.json: group: 'Algorithms' is not carried over: components are not grouped here",
        "components/sk_train/component.json: deps: pin scikit-learn in a requirements.txt or uv.lock, and add python: {lock: …} to component.yaml",
        "components/sk_train/component.json: arguments[2].defaultValue: 'fast' must be a finite number: it is left out",
        "components/sk_train/component.json: inputInfo[0].group: 'data' is not carried over: there is no such key here",
        "components/sk_train/component.json: inputInfo: files are passed on by path: in MCENTER_INPUT_…, or in an argument that names the input",
        "components/sk_train/component.json: outputInfo: files are passed on by path: in MCENTER_OUTPUT_…, or in an argument that names the output",
    ]  # fmt: skip
    assert found.mistakes.splitlines()[1:] == [
        f"{found.file}:31:24: component 'sk_train' has no argument 'x'; there are: trees, model-dir, rate",
        f"{found.file}:34:21: there is no component 'gone': components/gone/component.yaml beside the file is missing",
    ]


def test_what_is_no_mlapp_folder_is_refused_and_nothing_is_overwritten(original: Path, tmp_path: Path):
    with pytest.raises(InvalidFileError, match=r"mlapp\.json cannot be read: No such file"):
        import_folder(tmp_path / "original" / "components", tmp_path / "new")
    with pytest.raises(InvalidFileError, match="did you mean 'Europe/Berlin'"):
        import_folder(original, tmp_path / "new", timezone="Berlin")
    (original / "mlapp.json").write_text("{")
    with pytest.raises(InvalidFileError, match=r"mlapp\.json is not JSON"):
        import_folder(original, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    _write(original / "mlapp.json", MLAPP)
    with pytest.raises(InvalidFileError, match="exists already"):
        import_folder(original, original)


@pytest.mark.usefixtures("topics")
def test_an_mlapp_goes_back_and_comes_over_again_as_it_was(
    settings: Settings, original: Path, tmp_path: Path
):
    for name in ("hourly", "after", "inference"):
        document = json.loads((original / "mlapp.json").read_text())
        del document["nodes"][name]
        _write(original / "mlapp.json", document)
    first = import_folder(original, tmp_path / "first")
    assert first.mistakes == ""
    _apply(settings, first.file)
    assert export_mlapp(settings, "Train-Predict", tmp_path / "back") == []
    back = tmp_path / "back"
    mlapp = _read(back / "mlapp.json")
    assert mlapp["nodes"] == {
        "training": {"parent": [], "pipeline": "pipelines/training.json", "group": "gpus", "cronSchedule": "0 30 2 ? * 2-6"},
    }  # fmt: skip
    assert (mlapp["modelPolicy"], mlapp["globalThreshold"], mlapp["name"]) == (
        "MANUAL",
        0.4,
        "Train & Predict",
    )
    pipe = _read(back / "pipelines" / "training.json")["pipe"]
    assert pipe["fit"] == {
        "componentName": "sk_train", "arguments": {"trees": 50}, "parents": [{"parent": "load", "output": "samples"}],
    }  # fmt: skip
    trainer = _read(back / "components" / "sk_train" / "component.json")
    same = (
        "engineType",
        "language",
        "userStandalone",
        "label",
        "version",
        "program",
        "modelBehavior",
        "excludeGlobPatterns",
    )
    assert {key: trainer[key] for key in same} == {key: TRAINER[key] for key in same}
    assert trainer["arguments"][0] == TRAINER["arguments"][0] | {"defaultValue": 100}  # type: ignore[index,operator]
    assert not (back / "components" / "sk_train" / "big.csv").exists()

    second = import_folder(back, tmp_path / "second")
    assert second.file.read_text() == first.file.read_text()
    assert not _apply(settings, second.file).is_new


@pytest.mark.usefixtures("topics")
def test_what_the_original_cannot_say_is_told_line_by_line_and_commands_become_components(
    settings: Settings, tmp_path: Path
):
    file = tmp_path / "app.yaml"
    file.write_text("""
mlapp: app
nodes:
  - id: a
    type: model_producer
    steps: [{command: [echo, a b]}, {id: two, command: "cat < $MCENTER_INPUT_X", parents: [{parent: step-1, output: x}]}]
    schedule: {cron: "0 0 13 * fri", timezone: Europe/Berlin, jitter: 5m}
    agents: {zone: edge, group: g}
    environment: {X: "1"}
    retry: {limit: 2}
  - {id: b, type: model_consumer, mode: online, pipeline: ./serve, consumes: [a], policy: {model_policy: manual}}
policy: {model_policy: canary, canary: {node: b, share: 0.1}}
alerts: [{name: r, type: threshold, statistic: s, above: 1}]
""".replace("policy: {model_policy: canary, canary: {node: b, share: 0.1}}\n", ""))  # fmt: skip
    _apply(settings, file)
    notes = [str(note) for note in export_mlapp(settings, "app", tmp_path / "back")]
    assert notes == [
        "app: alerts: rule 'r' is not carried over",
        "app: nodes.b.policy: nodes have no policy of their own there",
        "app: nodes.a.schedule: '0 0 13 * fri' names both days of the month and of the week, which Quartz cannot: the node has no schedule there",
        "app: nodes.a.schedule.timezone: 'Europe/Berlin' is not carried over",
        "app: nodes.a.schedule.jitter: 300000 is not carried over",
        "app: nodes.a.agents.zone: agents have groups there, no labels: only 'group' is carried over",
        "app: nodes.a.environment: is not carried over: there is no such key there",
        "app: nodes.a.retry: is not carried over: there is no such key there",
        "app: nodes.b.consumes: a: there a node takes the models of its parents",
    ]  # fmt: skip
    again = import_folder(tmp_path / "back", tmp_path / "again")
    assert again.mistakes == ""
    components = again.file.parent / "components"
    assert (components / "a-step-1" / "run.sh").read_text() == "#!/bin/sh\nexec echo 'a b'\n"
    assert (components / "a-two" / "run.sh").read_text() == "#!/bin/sh\ncat < $MCENTER_INPUT_X\n"
    steps = (
        definitions.validate_definition(again.file.read_bytes(), "f", components=components)
        .nodes[0]
        .running_json
    )
    assert [step["component"] for step in json.loads(steps)["steps"]] == ["a-step-1", "a-two"]


def _apply(settings: Settings, file: Path) -> definitions.AppliedDefinition:
    components = file.parent / "components"
    wanted = definitions.validate_definition(file.read_bytes(), str(file), components=components)
    return definitions.apply_definition(settings, wanted, who=person("ada"), components=components)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found
