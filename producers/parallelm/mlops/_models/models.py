"""Models: make, publish, take, and the distributions that they were trained on."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from parallelm.mlops._models.download import fetch
from parallelm.mlops._outputs.output import EventReport
from parallelm.mlops._questions.topology import Topology
from parallelm.mlops._reporting.events import Events
from parallelm.mlops._reporting.reporter import Reporting, send_report
from parallelm.mlops.events.event_type import type_number
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException, SuppressException
from parallelm.mlops.models.model import Artifact, Model, ModelFormat, ModelMetadata
from parallelm.mlops.stats._values import json_text
from parallelm.schemas.well_known import INFERENCE_PHASE, MODEL_ACCEPTED, PHASE_LABEL, TRAINING_PHASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from parallelm.mlops._models.outbox import ModelToPublish
    from parallelm.mlops._questions.platform import Platform
    from parallelm.mlops.stats_category import StatCategory
    from parallelm.schemas.records import Histogram

_log = logging.getLogger("parallelm.mlops")


class Models(Reporting, Events, Topology):
    """Everything about models."""

    def __init__(self) -> None:
        super().__init__()
        self._current: Model | None = None
        self._deployed_id = ""
        self._trained_on: dict[str, Sequence[Histogram]] = {}
        """Histograms of the data that a model was trained on, by its id: of the current and of the approved one."""

    def publish_model(self, model: Model) -> str:
        """Publish a model whose path is set, and return its id.

        Copies it into the outbox and returns; a thread uploads it and then announces it. The path may be removed
        afterwards. Raises ``MLOpsException`` when there is nothing at the path, or a file where the format is a
        directory, or the other way round.
        """
        output = self._opened_output()
        if not isinstance(model, Model):
            raise MLOpsException(f"publish_model takes a Model, not {type(model).__name__}")
        output.publish(self._to_publish(model))
        return model.get_id()

    def current_model(self) -> Model | None:
        """The model that this component works with: the one it downloaded last, else the one it was started with."""
        self._opened_output()
        return self._current

    @SuppressException([MLOpsConnectionException])
    def get_last_approved_model(self) -> Model | None:
        """The model of the latest deployment to this component's node; None when there is none, and stand-alone.

        Asks the platform: raises ``MLOpsConnectionException`` when it gives no answer within
        ``MCENTER_COMPONENT_QUERY_TIMEOUT_S`` (with ``suppress_connection_errors`` it logs that and returns None).
        """
        import dataclasses

        self._opened_output()
        platform = self._platform()
        if platform is None:
            return None
        environment = self._environment
        deployed = platform.deployed_model(environment.mlapp_id, environment.node_id)
        if deployed is None:
            return None
        model = model_of_row(self, dataclasses.asdict(deployed))
        self._deployed_id = model.get_id()
        if self._current is None:
            self._current = model
        self._load_training_histograms(platform, model.get_id())
        return model

    def set_data_distribution_stat(self, data: Any, model: Any = None, timestamp: Any = None) -> None:
        """Report the distribution of ``data``: a frame, or an array whose columns are then named c0, c1, ….

        At training, with the ``Model`` that is trained on them: histograms and analysis tables, kept with the model. At
        inference the bins of the current model's training are used, and heat map and similarity scores are added.
        Raises ``MLOpsException`` for other data.
        """
        self.report_distribution(data, model if isinstance(model, Model) else None, timestamp)

    # ---- what models ask for ------------------------------------------------------------------------------------

    def report_stat(
        self,
        name: Any,
        data: Any,
        category: StatCategory,
        timestamp: Any,
        options: dict[str, Any],
        model_id: str,
    ) -> None:
        """``set_stat`` about a model."""
        self._set_stat(name, data, category, timestamp, options, model_id=model_id)

    def report_kpi(
        self,
        name: str,
        data: Any,
        timestamp: Any,
        units: str | None,
        labels: Mapping[str, str] | None,
        model_id: str,
    ) -> None:
        """``set_kpi`` about a model."""
        self._set_kpi(name, data, timestamp, units, labels, model_id=model_id)

    def report_distribution(self, data: Any, model: Model | None, timestamp: Any) -> None:
        """``set_data_distribution_stat``; with ``model``, of the data that it was trained on."""
        from parallelm.mlops._distribution import distribution_reports

        output = self._opened_output()
        time_ns = self._time_ns(timestamp)
        about = self._current if model is None else model
        model_id = about.get_id() if about else ""
        trained_on = self._trained_on.get(model_id, ()) if model is None else ()
        labels = {PHASE_LABEL: INFERENCE_PHASE if model is None else TRAINING_PHASE} if about else {}
        for report in distribution_reports(data, trained_on or None):
            send_report(output, report, model_id, time_ns, labels)

    def download_model(self, model: Model, filepath: str | Path) -> None:
        """``Model.download``."""
        output = self._opened_output()
        if model.artifact is None:
            raise MLOpsException(
                f"model {model.get_id()!r} was made here: its path is {model.get_model_path()!r}"
            )
        fetch(model, model.artifact, filepath, self._settings)
        model.set_model_path(filepath)
        if model.get_id() != self._deployed_id:
            return
        self._current = model
        output.event(
            EventReport(
                type_name=MODEL_ACCEPTED,
                type_number=type_number(MODEL_ACCEPTED),
                title=MODEL_ACCEPTED,
                description=f"downloaded, {model.artifact.size_bytes} bytes, checksum holds",
                is_alert=False,
                model_id=model.get_id(),
                content_type="application/json",
                payload=json_text({"model_id": model.get_id(), "sha256": model.artifact.sha256}).encode(),
                time_ns=self._time_ns(),
            )
        )

    def read_model(self, model: Model) -> bytes | str:
        """A model's bytes from the artifact store, checked; text where its format is text."""
        import tempfile
        from pathlib import Path

        if model.artifact is None:
            raise MLOpsException(f"model {model.get_id()!r} has no bytes in the artifact store")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model"
            fetch(model, model.artifact._replace(is_directory=False), file, self._settings)
            content = file.read_bytes()
        return content.decode() if model.metadata.model_format.is_text else content

    def describe_published(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of a model that this run has published."""
        row = dict(manifest) | {"artifact_url": "", "created_ms": manifest["event_time_ms"]}
        return model_of_row(self, row).metadata.to_dict()

    # ---- within -------------------------------------------------------------------------------------------------

    def _opened(self) -> None:
        """Load the model that the agent started this component with."""
        super()._opened()
        self._current, self._deployed_id, self._trained_on = None, "", {}
        model_id = self._environment.model_id
        platform = self._platform()
        if not model_id or platform is None:
            return
        try:
            self._current = self._load_model(platform, model_id)
            self._load_training_histograms(platform, model_id)
        except MLOpsConnectionException as error:
            _log.warning("model %s could not be loaded: %s", model_id, error)
        self._deployed_id = model_id

    def _load_model(self, platform: Platform, model_id: str) -> Model | None:
        row = platform.model(model_id)
        return None if row is None else model_of_row(self, row)

    def _load_training_histograms(self, platform: Platform, model_id: str) -> None:
        if self._trained_on.get(model_id):
            return
        from parallelm.schemas.records import Histogram, HistogramKind

        rows = platform.training_histograms(model_id, (PHASE_LABEL, TRAINING_PHASE))
        kept = set() if self._current is None else {self._current.get_id()}
        found = [
            Histogram(
                feature=row["feature"],
                kind=HistogramKind(row["kind"]),
                edges=row["edges"],
                categories=row["categories"],
                weights=row["weights"],
            )
            for row in rows
        ]
        self._trained_on = {
            known: histograms for known, histograms in self._trained_on.items() if known in kept
        } | {model_id: found}

    def _to_publish(self, model: Model) -> ModelToPublish:
        from pathlib import Path

        from parallelm.mlops._models.outbox import ModelToPublish

        metadata = model.metadata
        if model.artifact is not None:
            raise MLOpsException(
                f"model {model.get_id()!r} was published already, the platform gave it: make a new Model"
            )
        path = model.get_model_path()
        if path is None or not Path(path).exists():
            raise MLOpsException(f"there is no model at {path!r}: call set_model_path() with where it is")
        is_directory = Path(path).is_dir()
        if is_directory != metadata.model_format.is_directory:
            wanted = "a directory" if metadata.model_format.is_directory else "a file"
            raise MLOpsException(
                f"a model of format {metadata.model_format.value} must be {wanted}: {path!r}"
            )
        return ModelToPublish(
            path=Path(path).resolve(),
            model_id=model.get_id(),
            name=metadata.name,
            format=metadata.model_format.value,
            description=metadata.description,
            is_directory=is_directory,
            annotations=metadata.annotations,
            owner=metadata.owner,
            train_version=metadata.train_version,
            model_version=metadata.model_version,
            time_ns=self._time_ns(),
        )


def model_of_row(reporter: Models, row: Mapping[str, Any]) -> Model:
    """A model of a row of the table ``models``."""
    metadata = ModelMetadata(
        row["model_id"], row["name"], ModelFormat.from_str(row["format"]), row["description"]
    )
    metadata.annotations = {key: json.loads(value) for key, value in row["annotations"].items()}
    metadata.size = row["size_bytes"]
    metadata.owner = row["owner"]
    metadata.train_version = row["train_version"]
    metadata.model_version = row["model_version"]
    created_ms = row["created_ms"]
    metadata.created_on = datetime.fromtimestamp(created_ms / 1000, UTC).isoformat()
    artifact = Artifact(row["artifact_url"], bool(row["is_directory"]), row["size_bytes"], row["sha256"])
    return Model(reporter, metadata, artifact)
