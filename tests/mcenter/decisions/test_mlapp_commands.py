"""``mcenter mlapps diff | apply | history | export | import``, with parameters and components, on the whole platform."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Decisions

FILE = """\
mlapp: {mlapp}
parameters:
  rows: 10
nodes:
  - id: train
    type: model_producer
    schedule: {{cron: "30 2 * * *", timezone: Europe/Berlin}}
    steps:
      - {{component: load, arguments: {{rows: "${{parameters.rows}}"}}}}
"""


def test_a_file_is_compared_applied_and_found_in_the_history(decisions: Decisions, tmp_path: Path):
    mlapp = decisions.cluster.mlapp
    file, load = tmp_path / "app.yaml", tmp_path / "components" / "load"
    load.mkdir(parents=True)
    file.write_text(FILE.format(mlapp=mlapp))
    (load / "component.yaml").write_text("name: load\nprogram: load.py\narguments: {rows: {type: integer}}\n")
    (load / "load.py").write_text("print()\n")

    def run(*arguments: object, exit_code: int = 0) -> str:
        found = decisions.run("mlapps", *arguments)
        assert found.exit_code == exit_code, found.output
        return found.output

    new = run("diff", file, exit_code=1).splitlines()
    assert new[:3] == ["--- not defined", f"+++ {file}", "@@ -0,0 +1,9 @@"]
    assert new[-1] == "component 'load': its files differ"
    assert run("apply", file, "--who", "ada") == f"MLApp '{mlapp}' is now at version 1\n"
    assert run("diff", file) == f"MLApp '{mlapp}': applying {file} changes nothing\n"
    (load / "load.py").write_text("print('more')\n")
    assert run("diff", file, exit_code=1) == "component 'load': its files differ\n"
    assert run("diff", file, "--set", "rows=20", exit_code=1).splitlines() == [
        "--- version 1", f"+++ {file}", "@@ -1,6 +1,6 @@", f" mlapp: {mlapp}", " parameters:", "-  rows: 10", "+  rows: 20",
        " nodes:", "   - id: train", "     type: model_producer", "component 'load': its files differ",
    ]  # fmt: skip
    assert "there is no parameter 'row'; did you mean 'rows'?" in run(
        "apply", file, "--set", "row=1", exit_code=1
    )
    assert "parameter 'rows' was given 'x': must be a whole number" in run(
        "diff", file, "--set", "rows=x", exit_code=1
    )
    run("apply", file, "--set", "rows=20", "--who", "grace")
    assert "  rows: 20\n" in run("show", mlapp)

    def versions() -> list[dict[str, Any]]:
        found = decisions.run("mlapps", "history", mlapp, "--format", "json")
        return list(json.loads(found.stdout)) if found.exit_code == 0 else []

    wait_for(lambda: len(versions()) == 2, lambda: f"two versions: {versions()}")
    assert [(row["version"], row["applied_by"]) for row in versions()] == [(1, "ada"), (2, "grace")]
    assert '"timezone":"Europe/Berlin"' in versions()[1]["nodes.running_json"][0]
    assert "run_by_agents" in run("history", mlapp)
    assert "  rows: 10\n" in run("history", mlapp, "--version", "1")
    assert "has no version 7" in run("history", mlapp, "--version", "7", exit_code=1)

    back = run("export", mlapp, tmp_path / "back")
    assert back.splitlines() == [
        f"{mlapp}: nodes.train.schedule.timezone: 'Europe/Berlin' is not carried over",
        f"{tmp_path / 'back' / 'mlapp.json'} is written",
    ]
    again = run("import", tmp_path / "back", "--to", tmp_path / "again", "--timezone", "Europe/Berlin")
    assert again.splitlines()[-1].startswith(f"{tmp_path / 'again' / mlapp}.yaml is written; apply it with")
    assert (
        run("apply", tmp_path / "again" / f"{mlapp}.yaml") == f"MLApp '{mlapp}' is unchanged at version 2\n"
    )
    (tmp_path / "back" / "components" / "load" / "component.json").unlink()
    broken = run("import", tmp_path / "back", "--to", tmp_path / "broken", exit_code=1)
    assert "there is no component 'load'" in broken


def test_an_mlapp_that_is_exported_with_its_models_comes_back_with_them(decisions: Decisions, tmp_path: Path):
    mlapp, file = decisions.cluster.mlapp, tmp_path / "app.yaml"
    program = "type: model_consumer, pipeline: cat"
    nodes = f"[{{id: serve, {program}, default_model: m1}}, {{id: look, {program}, default_model: gone}}]"
    file.write_text(f"mlapp: {mlapp}\nnodes: {nodes}\n")
    (tmp_path / "forest.txt").write_text("a forest")

    def run(*arguments: object) -> str:
        found = decisions.run(*arguments)
        assert found.exit_code == 0, found.output
        return found.output

    run("mlapps", "apply", file)
    said = (
        "--name",
        "A forest",
        "--description",
        "of May",
        "--annotation",
        'trees={"n": 3}',
        "--model-id",
        "m1",
    )
    run("models", "upload", tmp_path / "forest.txt", "--mlapp", mlapp, "--format", "Text", *said)
    wait_for(lambda: "m1" in decisions.run("models", "list", "--mlapp", mlapp, "--format", "json").output)
    told = run("mlapps", "export", mlapp, tmp_path / "back", "--models")
    assert (
        f"nodes.look.defaultModelId: MLApp {mlapp!r} has no model 'gone': it is named, and not written"
        in told
    )
    assert (tmp_path / "back" / "models" / "m1" / "forest.txt").read_text() == "a forest"
    assert json.loads((tmp_path / "back" / "mlapp.json").read_text())["nodes"]["serve"] == {
        "parent": [], "pipeline": "pipelines/serve.json", "defaultModelId": "m1", "defaultModelName": "A forest",
        "defaultModelPath": "models/m1/forest.txt", "defaultModelFormat": "Text",
    }  # fmt: skip

    told = run("mlapps", "import", tmp_path / "back", "--to", tmp_path / "again")
    upload = next(line for line in told.splitlines() if "mcenter models upload" in line).split("`")[1]
    assert "is now at version 2" in run("mlapps", "apply", tmp_path / "again" / f"{mlapp}.yaml")
    words = shlex.split(upload)[1:]
    assert words[:2] == ["models", "upload"]
    assert dict(zip(words[3::2], words[4::2], strict=True)) == {
        "--format": "Text", "--mlapp": mlapp, "--model-id": "m1", "--name": "A forest", "--description": "of May",
        "--annotation": 'trees={"n": 3}',
    }  # fmt: skip
    assert "model m1" in run(*words)


def test_a_component_is_checked_and_shown(decisions: Decisions, tmp_path: Path):
    folder = tmp_path / "fit"
    folder.mkdir()
    (folder / "fit.py").touch()
    text = "name: fit\nprogram: fit.py\narguments: {depth: {type: integer, default: 6, variable: DEPTH, description: of trees}}\noutputs: {m: {}}\n"
    (folder / "component.yaml").write_text(text)
    found = decisions.run("components", "check", folder)
    assert found.output == f"{folder}: component 'fit' is valid: 1 argument, 2 files\n"
    assert decisions.run("components", "show", folder).output.splitlines() == [
        "fit: fit.py",
        "  --depth  integer ($DEPTH, default 6)  of trees",
        "  output m",
        "  file component.yaml",
        "  file fit.py",
    ]
    (folder / "component.yaml").write_text(text.replace("fit.py", "fti.py"))
    found = decisions.run("components", "check", folder)
    assert (found.exit_code, f"{folder}/component.yaml:2:10: 'fti.py' is not among" in found.output) == (
        1,
        True,
    )
