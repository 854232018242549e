"""The MLApp of a capture: its id, model policy and nodes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from pathlib import Path

_PLAIN = "ion-details.txt"
_JSON = "MLApp-details.txt"
_WORD = r"\s*([^\s,\[\]]+)"


class Details(NamedTuple):
    """The MLApp of a capture."""

    mlapp_id: str
    policy: str
    nodes: list[Any]


def read_details(folder: Path) -> Details:
    """Details from ``ion-details.txt``, where a node is its pipeline's id, or ``MLApp-details.txt`` (JSON).

    Captures of the original platform's last versions have the JSON; there a node is ``[pipeline instance id, type,
    pipeline name]``. Raises ``MLOpsException`` if neither can be read.
    """
    for name, parse in ((_PLAIN, _of_text), (_JSON, _of_json)):
        file = folder / name
        if file.is_file():
            try:
                return parse(file.read_text(encoding="utf-8"))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise MLOpsException(f"{name} of the capture cannot be read: {error}") from error
    raise MLOpsException(f"the capture has no {_PLAIN}")


def _of_text(text: str) -> Details:
    found = {name: re.search(rf"\b{name}:{_WORD}", text) for name in ("WorkflowID", "modelPolicy")}
    for name, match in found.items():
        if match is None:
            raise ValueError(f"it does not contain {name}")
    mlapp_id, policy = (match[1] for match in found.values() if match)
    return Details(mlapp_id, policy, re.findall(rf"\bPipelineID:{_WORD}", text))


def _of_json(text: str) -> Details:
    details = json.loads(text)
    nodes = [
        [node[key] for key in ("pipelineInstanceId", "pipelineType", "pipelineName")]
        for node in details["pipelineInstances"]
    ]
    return Details(details["WorkflowID"], details["modelPolicy"], nodes)
