"""Components: their folder is checked whole, packed the same each time, and their program called as it is written."""

from __future__ import annotations

import os
import tarfile
import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError
from parallelm.definitions.components import (
    argument_mistakes,
    command_line,
    output_names,
    pack,
    packing,
    read_component,
    resolved_arguments,
    step_variables,
    unpack,
)
from parallelm.definitions.components.form import ArgumentForm, ComponentForm
from parallelm.definitions.errors import ArgumentsError, ComponentFolderError
from parallelm.definitions.running import InputForm, StepForm
from tests.hostile_tars import headers_about_headers, with_extended_header

if TYPE_CHECKING:
    from pathlib import Path

TRAINER = """\
name: trainer
description: Fits a forest.
program: train.py
arguments:
  depth: {type: integer, default: 6, variable: TREE_DEPTH}
  rate: {type: number, optional: true}
  fast: {type: boolean, default: false}
  table: {input: samples}
  model: {output: model}
  target: {}
inputs: {samples: {type: csv}}
outputs: {model: {}}
python: {lock: uv.lock, version: "3.12"}
"""


def make(folder: Path, text: str = TRAINER, **files: str) -> Path:
    target = folder / "trainer"
    target.mkdir(exist_ok=True)
    (target / "component.yaml").write_text(textwrap.dedent(text))
    for name, content in {"train.py": "print()", "uv.lock": "", "pyproject.toml": "", **files}.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return target


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        read_component(folder)
    return [f"{found.line}:{found.column}: {found.message}" for found in caught.value.problems]


def test_every_mistake_is_reported_at_its_line(tmp_path: Path):
    folder = make(
        tmp_path,
        """\
        name: trainr
        programm: x
        program: trian.py
        arguments:
          depth: {type: int, default: 6}
          rate: {type: number, default: "fast"}
          table: {input: sample, tag: model_dir}
          1 x: {}
        inputs: {samples: {}, "a.b": {}, a-b: {}}
        python: {lock: lock.json}
        include: ["**", "*.csv"]
        """,
    )
    assert mistakes(folder) == [
        "2:1: unknown key 'programm'; did you mean 'program'?",
        "5:17: arguments.depth.type is 'int'; there are: text, integer, number, boolean",
        "6:33: default 'fast' is not of type number",
        "7:18: tag and input: an argument has one of them at most",
        "7:18: there is no input 'sample'; did you mean 'samples'?",
        "8:8: arguments.1 x may contain letters, digits, '.', '_' and '-' only, and starts with a letter or digit",
        "9:39: 'a-b' and 'a.b' would share the variable …_A_B",
    ]
    folder = make(
        tmp_path,
        'name: trainr\nprogram: trian.py\npython: {lock: lock.json}\ninclude: ["**", "*.csv"]\n',
    )
    assert mistakes(folder) == [
        "1:7: the folder is called 'trainer': pipelines name a component by its folder",
        "2:10: 'trian.py' is not among the component's files; did you mean 'train.py'?",
        "3:16: 'lock.json' is not among the component's files; there are: component.yaml, pyproject.toml, train.py, uv.lock",
        "3:16: lock.json is neither uv.lock, nor pylock.toml, nor a requirements.txt",
        f"4:17: '*.csv' names no file in {folder}",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: trainer\nprogram: ../run.py\n", "'../run.py' must be a path inside the component's folder"),
        ("name: trainer\nprogram: train.py\noutputs: {../x: {}}\n", "'../x' names a file in the run's folder"),
        ("name: trainer\nprogram: run\n", "run is not executable: run chmod +x on it, or name its interpreter"),
        ("name: trainer\nprogram: run\ninterpreter: \"Rscript 'x\"\n", "is no program with arguments: No closing quotation"),
        ("name: trainer\nprogram: train.py\nexclude: [train.py]\n", "'train.py' is not among the component's files"),
        ("name: trainer\nprogram: train.py\npython: {lock: uv.lock}\nexclude: [pyproject.toml]\n", "uv.lock needs its pyproject.toml"),
    ],
)  # fmt: skip
def test_what_could_not_be_run_is_refused(tmp_path: Path, text: str, expected: str):
    assert expected in mistakes(make(tmp_path, text, run="#!/bin/sh\n"))[0]


def test_a_folder_that_is_no_component_is_told_so(tmp_path: Path):
    with pytest.raises(ComponentFolderError, match=r"component\.yaml cannot be read: No such file"):
        read_component(tmp_path)


def test_the_same_files_give_the_same_tar_wherever_and_whenever_they_lie(tmp_path: Path):
    packed, tars = [], []
    for name, umask in (("one", 0o022), ("two", 0o077)):
        (tmp_path / name).mkdir()
        before = os.umask(umask)
        try:
            files = {"lib/a.py": "a", "lib/ü.py": "b", "lib/__pycache__/a.pyc": "c"}
            folder = make(
                tmp_path / name, TRAINER, **(files if name == "one" else dict(reversed(files.items())))
            )
        finally:
            os.umask(before)
        os.utime(folder / "train.py", (1, 1 + umask))
        component = read_component(folder)
        with pack(folder, component.files) as made:
            packed.append(made)
            tars.append(made.file.read_bytes())
            if name == "one":
                unpack(made.file, tmp_path / "out")
        assert not made.file.exists()
    assert packed[0].sha256 == packed[1].sha256
    assert tars[0] == tars[1]
    found = sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert found == ["component.yaml", "lib/a.py", "lib/ü.py", "pyproject.toml", "train.py", "uv.lock"]
    (tmp_path / "one" / "trainer" / "lib" / "a.py").write_text("A")
    with pack(tmp_path / "one" / "trainer", component.files) as changed:
        assert changed.sha256 != packed[0].sha256


def pack_and_unpack(folder: Path, target: Path) -> None:
    with pack(folder, read_component(folder).files) as packed:
        unpack(packed.file, target)


def test_an_executable_stays_one(tmp_path: Path):
    folder = make(tmp_path, "name: trainer\nprogram: run\n", run="#!/bin/sh\n")
    (folder / "run").chmod(0o700)
    pack_and_unpack(folder, tmp_path / "out")
    assert os.access(tmp_path / "out" / "run", os.X_OK)
    assert not os.access(tmp_path / "out" / "train.py", os.X_OK)


def test_links_lead_nowhere_else_and_only_plain_files_are_packed(tmp_path: Path):
    folder = make(tmp_path)
    (tmp_path / "secret").write_text("s")
    (folder / "inside").symlink_to("train.py")
    pack_and_unpack(folder, tmp_path / "out")
    assert (tmp_path / "out" / "inside").read_text() == "print()"
    assert not (tmp_path / "out" / "inside").is_symlink()
    (folder / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(ComponentFolderError, match="outside the component"):
        pack_and_unpack(folder, tmp_path / "never")
    (folder / "out").unlink()
    (folder / "above").symlink_to(tmp_path)
    with pytest.raises(ComponentFolderError, match="outside the component"):
        pack_and_unpack(folder, tmp_path / "never")
    (folder / "above").unlink()
    (folder / "gone").symlink_to("nowhere")
    with pytest.raises(ComponentFolderError, match="gone cannot be read"):
        pack_and_unpack(folder, tmp_path / "never")
    (folder / "gone").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(ComponentFolderError, match="pipe is no plain file"):  # nobody ever writes into it
        pack_and_unpack(folder, tmp_path / "never")


@pytest.mark.parametrize(
    "tar",
    [
        headers_about_headers(),
        with_extended_header("path=" + "a" * 400),
        with_extended_header("path=a\0b"),
        with_extended_header("GNU.sparse.map=0,x"),
        with_extended_header("size=99999999999999999999"),
    ],
    ids=[
        "headers about headers",
        "too long a name",
        "a name with NUL",
        "a map of nothing",
        "too large a size",
    ],
)
def test_a_tar_with_wrong_headers_is_refused(tar: bytes, tmp_path: Path):
    (tmp_path / "x.tar").write_bytes(tar)
    with pytest.raises(ComponentFolderError, match=r"x\.tar cannot be unpacked"):
        unpack(tmp_path / "x.tar", tmp_path / "out")


def test_a_tar_with_more_files_than_a_component_has_is_refused_before_any_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(packing, "_MAX_FILES", 10)
    (tmp_path / "x.tar").write_bytes(tarfile.TarInfo("file").tobuf() * 21 + bytes(1024))
    with pytest.raises(ComponentFolderError, match="more than 10 files"):
        unpack(tmp_path / "x.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_large_data_is_refused_with_the_file_that_is_too_much(tmp_path: Path):
    folder = make(tmp_path, TRAINER, **{"train.csv": "x" * 50_000})
    with (
        pytest.raises(ComponentFolderError, match=r"too large with train\.csv: leave it out by 'exclude'"),
        pack(folder, read_component(folder).files, max_bytes=40_000),
    ):
        pass


def trainer(tmp_path: Path) -> ComponentForm:
    return read_component(make(tmp_path)).form


def resolve(form: ComponentForm, given: dict[str, object], **variables: str) -> dict[str, str]:
    return resolved_arguments(
        form, given, variables, by_tag={}, inputs={"samples": "/in"}, outputs={"model": "/out"}  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_pipeline_comes_before_the_variable_and_that_before_the_default(tmp_path: Path):
    form = trainer(tmp_path)
    assert resolve(form, {"target": "y"}) == {
        "depth": "6", "fast": "false", "table": "/in", "model": "/out", "target": "y",
    }  # fmt: skip
    assert resolve(form, {"target": "y"}, TREE_DEPTH="8")["depth"] == "8"
    assert resolve(form, {"target": "y", "depth": 9}, TREE_DEPTH="8")["depth"] == "9"
    assert resolve(form, {"target": "y", "depth": None}, TREE_DEPTH="")["depth"] == "6"
    assert resolve(form, {"target": "y", "rate": 0.5, "fast": True, "table": "/mine"}) == {
        "depth": "6", "rate": "0.5", "fast": "true", "table": "/mine", "model": "/out", "target": "y",
    }  # fmt: skip


def test_a_program_gets_its_arguments_by_name(tmp_path: Path):
    form = trainer(tmp_path)
    line = command_line(form, resolve(form, {"target": "a b"}), "/venv/bin/python")
    assert line[:4] == ["/venv/bin/python", "train.py", "--depth", "6"]
    assert line[-2:] == ["--target", "a b"]
    assert command_line(ComponentForm(name="r", program="fit.R", interpreter="Rscript --vanilla"), {}, "") == [
        "Rscript", "--vanilla", "fit.R",
    ]  # fmt: skip
    assert command_line(ComponentForm(name="x", program="bin/run"), {}, "") == ["./bin/run"]


def test_what_the_agent_gives_comes_by_tag():
    form = ComponentForm(
        name="serve",
        program="serve.py",
        arguments={"port": ArgumentForm(type="integer", tag="public_port"), "model": ArgumentForm(tag="input_model_path")},
    )  # fmt: skip
    found = resolved_arguments(
        form, {}, {}, by_tag={"public_port": "8080", "input_model_path": "/m"}, inputs={}, outputs={}
    )
    assert found == {"port": "8080", "model": "/m"}
    with pytest.raises(
        ArgumentsError, match=r"model has no value: .*the agent has no input_model_path for it"
    ):
        resolved_arguments(form, {}, {}, by_tag={"public_port": "8080"}, inputs={}, outputs={})


def test_all_that_is_wrong_with_arguments_is_told_at_once(tmp_path: Path):
    form = trainer(tmp_path)
    with pytest.raises(ArgumentsError) as caught:
        resolve(form, {"dept": 3, "fast": 1}, TREE_DEPTH="deep")
    message = str(caught.value)
    assert "no argument 'dept'; did you mean 'depth'?" in message
    assert "fast is 1, and must be true or false" in message
    assert "depth: the value of variable TREE_DEPTH must be a whole number" in message
    assert "deep" not in message
    assert "needs the argument 'target'" in message


@given(
    st.sampled_from(["text", "integer", "number", "boolean"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
)
def test_a_value_of_the_right_type_is_taken_and_any_other_told(kind: str, value: object):  # fmt: skip
    form = ComponentForm(name="c", program="c.py", arguments={"a": ArgumentForm(type=kind, optional=True)})  # type: ignore[arg-type]
    found = list(argument_mistakes(form, {"a": value}))
    if not found:
        given = {"a": value}
        text = resolved_arguments(form, given, {}, by_tag={}, inputs={}, outputs={}).get("a")  # type: ignore[arg-type]
        again = form.model_copy(
            update={"arguments": {"a": ArgumentForm(type=kind, variable="V", optional=True)}}
        )  # type: ignore[arg-type]
        assert text is None or not text or resolved_arguments(
            again, {}, {"V": text}, by_tag={}, inputs={}, outputs={}
        ) == {"a": text}  # fmt: skip


def test_steps_are_told_where_their_inputs_and_outputs_are():
    assert step_variables({"daily samples": "/a"}, {"model.bin": "/b"}) == {
        "MCENTER_INPUT_DAILY_SAMPLES": "/a",
        "MCENTER_OUTPUT_MODEL_BIN": "/b",
    }
    steps = [
        StepForm(id="load", command="load"),
        StepForm(id="fit", command="fit", parents=[InputForm(parent="load", output="table")]),
        StepForm(
            command="look",
            parents=[InputForm(parent="load", output="log"), InputForm(parent="fit", output="m")],
        ),
    ]
    assert [output_names(steps, at, None) for at in range(3)] == [["table", "log"], ["m"], []]
    form = ComponentForm.model_validate(
        {"name": "l", "program": "l.py", "outputs": {"table": {}, "rest": {}}}
    )
    assert output_names(steps, 0, form) == ["table", "rest", "log"]
