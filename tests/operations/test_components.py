"""Components of an MLApp go into the artifact store when it is applied, and agents elsewhere get them as they were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.connections.artifacts import filesystem
from parallelm.definitions import running_of
from parallelm.definitions.components import read_component, unpack
from parallelm.operations import definitions
from parallelm.operations.errors import ArtifactStoreError, InvalidFileError
from tests.people import person

if TYPE_CHECKING:
    from parallelm.connections import Settings

FILE = b"""
mlapp: app
nodes:
  - id: train
    type: model_producer
    steps:
      - {component: load, arguments: {rows: 10}}
      - {component: fit, parents: [{parent: load, output: table}]}
"""


@pytest.fixture
def components(tmp_path: Path) -> Path:
    folder = tmp_path / "app" / "components"
    for name, more in (
        ("load", "arguments: {rows: {type: integer}}\noutputs: {table: {}}\n"),
        ("fit", "arguments: {table: {input: table}}\ninputs: {table: {}}\n"),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "component.yaml").write_text(f"name: {name}\nprogram: {name}.py\n{more}")
        (folder / name / f"{name}.py").write_text(f"print('{name}')\n")
    return folder


@pytest.mark.usefixtures("topics")
def test_components_are_put_into_the_store_and_applying_again_changes_nothing(
    settings: Settings, components: Path, tmp_path: Path
):

    def apply(text: bytes = FILE, folder: Path | None = components) -> definitions.AppliedDefinition:
        wanted = definitions.validate_definition(text, "app.yaml", components=folder)
        return definitions.apply_definition(settings, wanted, who=person("ada"), components=folder)

    with pytest.raises(InvalidFileError, match="components that are not in the artifact store: load, fit"):
        apply(folder=None)
    first = apply()
    running = running_of(first.definition.nodes[0])
    assert running is not None
    assert [spec.name for spec in running.components] == ["load", "fit"]
    store, path = filesystem(settings.artifacts, running.components[1].artifact_url)
    store.get_file(path, str(tmp_path / "fit.tar"))
    unpack(tmp_path / "fit.tar", tmp_path / "fit")
    assert read_component(tmp_path / "fit").form.name == "fit"
    assert (tmp_path / "fit" / "fit.py").read_text() == "print('fit')\n"

    (components / "fit" / "fit.py").touch()
    assert not apply().is_new
    # Whoever has only the text, as a page of the server, keeps the components of the version in force.
    assert not apply(folder=None).is_new
    edited = apply(FILE.replace(b"rows: 10", b"rows: 20"), folder=None)
    assert edited.is_new
    assert running_of(edited.definition.nodes[0]).components == running.components  # type: ignore[union-attr]

    (components / "fit" / "fit.py").write_text("print('better')\n")
    changed = apply(FILE.replace(b"rows: 10", b"rows: 20"))
    assert (changed.is_new, changed.definition.version) == (True, 3)
    before, after = running.components, running_of(changed.definition.nodes[0]).components  # type: ignore[union-attr]
    assert before[0] == after[0]
    assert before[1].sha256 != after[1].sha256

    damaged, path = filesystem(settings.artifacts, after[1].artifact_url)
    Path(path).chmod(0o600)
    with damaged.open(path, "wb") as opened:
        opened.write(b"x")
    with pytest.raises(ArtifactStoreError, match="was damaged in the artifact store"):
        apply()


def test_mistakes_of_the_file_and_of_its_components_are_reported_together(components: Path):
    (components / "load" / "component.yaml").write_text("name: load\nprogram: lod.py\n")
    text = FILE.replace(b"component: fit", b"component: fitt").replace(b"auxiliary", b"x") + b"polcy: {}\n"
    with pytest.raises(InvalidFileError) as caught:
        definitions.validate_definition(text, "app.yaml", components=components)
    assert str(caught.value).splitlines() == [
        "app.yaml is not a valid MLApp file:",
        "app.yaml:8:21: there is no component 'fitt': components/fitt/component.yaml beside the file is missing",
        "app.yaml:9:1: unknown key 'polcy'; did you mean 'policy'?",
        f"{components / 'load' / 'component.yaml'}:2:10: 'lod.py' is not among the component's files; did you mean 'load.py'?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rows: 10", "row: 10", "7:44: component 'load' has no argument 'row'; did you mean 'rows'?"),
        ("rows: 10", "rows: ten", "7:45: rows is 'ten', and must be a whole number"),
        (", arguments: {rows: 10}", "", "7:21: component 'load' needs the argument 'rows'"),
        ("output: table", "output: tabel", "8:59: component 'load' has no output 'tabel'; did you mean 'table'?"),
        ("output: table", "output: table, input: x", "8:73: component 'fit' has no input 'x'; there are: table"),
        (", parents: [{parent: load, output: table}]", "", "8:21: input 'table' of component 'fit' is not connected: add it to parents"),
    ],
)  # fmt: skip
def test_steps_are_held_against_their_components(components: Path, old: str, new: str, expected: str):
    with pytest.raises(InvalidFileError) as caught:
        definitions.validate_definition(FILE.decode().replace(old, new).encode(), "a", components=components)
    assert f"a:{expected}" in str(caught.value).splitlines()
