"""An MLApp of a test's own with models that were uploaded, and what their components would report."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.operations.model_files import NewModel, upload_model
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import Event, Origin
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import EVENTS
from parallelm.schemas.well_known import MODEL_ACCEPTED
from parallelm.warehouse.queries import deployments, models
from tests.people import person
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings

DEFINITION = """\
mlapp: {mlapp_id}
nodes:
  - {{id: train, type: model_producer}}
  - {{id: predict, type: model_consumer, parents: [train], consumes: [train]}}
policy: {{model_policy: manual}}
"""


def define(settings: Settings, beginning: str) -> str:
    """Id of a new MLApp in which a person approves each model."""
    mlapp_id = f"{beginning}-{uuid.uuid4().hex[:6]}"
    text = DEFINITION.format(mlapp_id=mlapp_id)
    apply_definition(settings, validate_definition(text.encode(), "models.yaml"), who=person("ada"))
    return mlapp_id


def published(settings: Settings, folder: Path, mlapp_id: str, name: str) -> str:
    """Id of a model that waits for approval."""
    file = folder / f"{name}.json"
    file.write_text(f'{{"name": "{name}"}}', encoding="ascii")
    model = NewModel(
        name=name, format="Json", file_name=file.name, node_id="train", annotations={"team": name}
    )
    made = upload_model(settings, mlapp_id, file, model, who=person("bea")).model_id
    wait_for(lambda: not models(settings, mlapp_id=mlapp_id, model_id=made).empty)
    wait_for(lambda: state_of(settings, mlapp_id, made) == "awaiting_approval")
    return made


def accept(settings: Settings, mlapp_id: str, model_id: str) -> None:
    """Report, as the component does, that it has the model; returns when it is live."""
    event = Event(
        origin=Origin(mlapp_id=mlapp_id, node_id="predict", pipeline_instance_id="p", agent_id="host-1"),
        producer_id=uuid.uuid4().hex, seq=0, event_time_ms=time.time_ns() // 1_000_000, event_id=uuid.uuid4().hex,
        type=MODEL_ACCEPTED, title="", description="", is_alert=False, model_id=model_id, labels={}, content_type="",
        data=b"",
    )  # fmt: skip
    prefix = settings.kafka.topic_prefix
    codec = Codec(make_registry(settings.schema_registry, prefix))
    record = OutgoingRecord(EVENTS.full_name(prefix), mlapp_id, codec.encode(event))
    write_and_confirm(settings, [record], timeout_s=120)
    wait_for(lambda: state_of(settings, mlapp_id, model_id) == "active")


def state_of(settings: Settings, mlapp_id: str, model_id: str) -> str:
    """State of a model's last deployment; empty without one."""
    found = deployments(settings, mlapp_id=mlapp_id, model_id=model_id)
    return str(found["state"].iloc[-1]) if len(found) else ""
