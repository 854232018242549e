"""Whatever stands in a file, it is read or refused with a place; nothing else comes of it."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError, parse_definition, running_of, to_record
from parallelm.definitions.components import read_component
from parallelm.definitions.components.form import ArgumentForm, ComponentForm
from parallelm.definitions.errors import ComponentFolderError
from parallelm.definitions.original import Notes, component_from_original, mlapp_from_original
from parallelm.definitions.running import InputForm, RunningKeys, ScheduleForm, StepForm, TriggerForm
from parallelm.definitions.written_yaml import yaml_text

_WORDS = st.sampled_from(["a", "b", "x", "1s", "0 3 * * *", "UTC", "file:/x", "512Mi", "${parameters.p}", "on", "", "../x", "**"])  # fmt: skip
_SCALARS = _WORDS | st.integers(-5, 5) | st.booleans() | st.none() | st.floats(allow_nan=False)
_KEYS = sorted(
    {
        *(name for form in (RunningKeys, ScheduleForm, StepForm, InputForm, TriggerForm) for name in form.model_fields),
        *("id", "type", "parents", "pipeline", "a", "b"),
    }
)  # fmt: skip
_OF_COMPONENTS = sorted({*ComponentForm.model_fields, *ArgumentForm.model_fields, "a", "lock"})
_OF_ORIGINALS = [
    "name", "nodes", "parent", "group", "pipeline", "cronSchedule", "pipe", "parents", "output", "input", "id", "type",
    "componentName", "arguments", "key", "defaultValue", "tag", "inputInfo", "outputInfo", "label", "deps", "language",
    "modelPolicy", "globalThreshold", "pipelineType", "engineType", "excludeGlobPatterns", "components", "defaultModelId", "a",
]  # fmt: skip


def _values(keys: list[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=4),
        max_leaves=10,
    )


def _mappings(keys: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(keys), _values(keys), max_size=6)


@settings(deadline=None, max_examples=40)
@given(st.lists(_mappings(_KEYS), max_size=3), _values(["p", "default", "type"]))
def test_any_nodes(nodes: list[dict[str, Any]], parameters: Any):
    named = [{"id": name, "type": "model_producer", **node} for name, node in zip("abc", nodes, strict=False)]
    text = yaml_text(
        {"mlapp": "m", "parameters": {"p": parameters}, "nodes": [*named, {"id": "z", "type": "auxiliary"}]}
    )
    form_of_a = ComponentForm(name="a", program="a.py")
    try:
        app = parse_definition(text, "f", lambda names: dict.fromkeys(names, form_of_a))
    except DefinitionError:
        return
    record = to_record(app, text, version=1, applied_by="me", event_time_ms=0)
    for node, form in zip(record.nodes, app.nodes, strict=True):
        assert running_of(node) == form.running()


@settings(deadline=None, max_examples=40)
@given(_mappings(_OF_COMPONENTS))
def test_any_component(raw: dict[str, Any]):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "a"
        folder.mkdir()
        (folder / "a").touch()
        (folder / "component.yaml").write_text(yaml_text({"name": "a", **raw}))
        with contextlib.suppress(DefinitionError, ComponentFolderError):
            assert read_component(folder).form.name == "a"


@settings(deadline=None, max_examples=40)
@given(_mappings(_OF_ORIGINALS), _mappings(_OF_ORIGINALS), _mappings(_OF_ORIGINALS))
def test_any_folder_of_the_original(
    mlapp: dict[str, Any], pipeline: dict[str, Any], component: dict[str, Any]
):
    notes = Notes("mlapp.json")
    found = mlapp_from_original(mlapp, lambda _: pipeline, {"a": component}, notes)
    assert found["mlapp"]
    assert component_from_original(component, notes)["name"]
    with contextlib.suppress(DefinitionError):
        parse_definition(yaml_text(found), "f")
