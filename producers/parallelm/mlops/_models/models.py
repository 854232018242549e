"""Publishes and loads models, and the distributions that they were trained on."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from parallelm.mlops._models import waiting
from parallelm.mlops._models.download import fetch
from parallelm.mlops._outputs.output import EventReport
from parallelm.mlops._reporting.reporter import report_time_ns, send_report
from parallelm.mlops._session.part import Part
from parallelm.mlops.events.event_type import type_number
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException, SuppressException
from parallelm.mlops.models.model import Artifact, Model, ModelFormat, ModelMetadata
from parallelm.mlops.stats._callers_values import refusing, truth
from parallelm.mlops.stats._values import json_text
from parallelm.schemas.well_known import INFERENCE_PHASE, MODEL_ACCEPTED, PHASE_LABEL, TRAINING_PHASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from parallelm.mlops._models.outbox import ModelToPublish
    from parallelm.mlops._models.waiting import Wanted
    from parallelm.mlops._questions.platform import Platform
    from parallelm.mlops._reporting.reporter import Reporter
    from parallelm.mlops._session.opened import ModelsInUse, Opened
    from parallelm.mlops._session.session import Session
    from parallelm.mlops.models.model import ModelReporter
    from parallelm.mlops.stats_category import StatCategory
    from parallelm.schemas.records import Histogram

_log = logging.getLogger("parallelm.mlops")


@refusing
class Models(Part):
    """The calls about models, including those that ``Model`` objects make."""

    facade_name = "_models"

    def __init__(self, session: Session, reporter: Reporter) -> None:
        self._session = session
        self._reporter = reporter
        session.when_opened(self._load_current)

    # ---- what components ask for --------------------------------------------------------------------------------

    def new(
        self, name: str | None, model_format: ModelFormat | str, description: str | None, user_defined: Any
    ) -> Model:
        """A new model of this component; raises ``MLOpsException`` for format UNKNOWN."""
        self._session.opened()
        model = Model.new(
            self, "" if name is None else name, model_format, "" if description is None else description
        )
        if user_defined is not None:
            model.set_annotations({"user_defined": user_defined})
        return model

    def publish(self, model: Model) -> str:
        """Copy a model into the outbox, and return its id."""
        output = self._session.output()
        if not isinstance(model, Model):
            raise MLOpsException(f"publish_model takes a Model, not {type(model).__name__}")
        if output is not None:
            output.publish(_to_publish(model))
        return model.get_id()

    def current(self) -> Model | None:
        """The model that this component uses: the one it downloaded last, else the one it was started with."""
        return self._session.opened().models.current

    def last_approved(self) -> Model | None:
        """The model that the node of this component is to run; None when there is none, and stand-alone."""
        model: Model | None = self._last_approved()
        return model

    @SuppressException([MLOpsConnectionException])
    def _last_approved(self) -> Model | None:
        opened = self._session.opened()
        if opened.platform is None or opened.validates_only:
            return None
        model = self._deployed(opened, opened.platform)
        return None if model is None else self._taken(opened, opened.platform, model)

    def wait_for(
        self, timeout: float, newer_than: Any, histograms: bool, properties: Mapping[str, Any]
    ) -> Model | None:
        """``wait_for_model``."""
        opened, closing = self._session.opened(), self._session.closing()
        limit_s = waiting.timeout_of(timeout)
        wanted = waiting.wanted(newer_than, opened.models.downloaded, **properties)
        if opened.platform is None or opened.validates_only:
            return None
        model: Model | None = self._wait_for(
            opened, closing, limit_s, wanted, truth(histograms, "histograms")
        )
        return model

    @SuppressException([MLOpsConnectionException])
    def _wait_for(
        self, opened: Opened, closing: Event, limit_s: float, wanted: Wanted, histograms: bool
    ) -> Model | None:
        def ask(left_s: float) -> Model | None:
            platform = opened.platform_within(left_s)
            model = self._deployed(opened, platform)
            if model is None or not wanted.accepts(model):
                return None
            if histograms and not _load_training_histograms(platform, opened.models, model.get_id()):
                return None
            return self._taken(opened, platform, model)

        return waiting.wait(ask, limit_s, closing)

    def _deployed(self, opened: Opened, platform: Platform, model_id: str | None = None) -> Model | None:
        import dataclasses

        from parallelm.mlops.models.deployment import Deployment
        from parallelm.warehouse.queries import last_deployed_model

        known = opened.environment
        deployed = platform.ask(
            last_deployed_model, known.mlapp_id, known.node_id, known.agent_id, model_id=model_id
        )
        if deployed is None:
            return None
        row = dataclasses.asdict(deployed)
        model = model_of_row(self, row)
        model.deployment = Deployment.of_row(row)
        return model

    def _taken(self, opened: Opened, platform: Platform, model: Model) -> Model:
        """The model, once this component knows what it needs to report about it."""
        in_use = opened.models
        in_use.deployed_id = model.get_id()
        if in_use.current is None:
            in_use.current = model
        _load_training_histograms(platform, in_use, model.get_id())
        return model

    # ---- what models ask for: see ModelReporter -----------------------------------------------------------------

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
        self._reporter.stat(name, data, category, timestamp, options, model_id)

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
        self._reporter.kpi(name, data, timestamp, units, labels, model_id)

    def report_distribution(self, data: Any, model: Any, timestamp: Any, units: str | None = None) -> None:
        """``set_data_distribution_stat``; with a ``Model``, about the data that it was trained on."""
        output = self._session.output()
        if output is None:
            return
        model = model if isinstance(model, Model) else None
        from parallelm.mlops._distribution import distribution_reports
        from parallelm.mlops._reporting.payloads import NumericReport

        in_use = self._session.opened().models
        time_ns = report_time_ns(timestamp, units)
        about = in_use.current if model is None else model
        model_id = about.get_id() if about else ""
        trained_on = in_use.trained_on.get(model_id, ()) if model is None else ()
        labels = {PHASE_LABEL: INFERENCE_PHASE if model is None else TRAINING_PHASE} if about else {}
        reports = distribution_reports(data, trained_on or None)
        for report in reports:
            if not isinstance(report, NumericReport):
                send_report(output, report, model_id, time_ns, labels)
        # Rules judge the measures of a report together: one record holds them.
        output.numerics([each for each in reports if isinstance(each, NumericReport)], model_id, time_ns)

    def download_model(self, model: Model, filepath: str | Path) -> None:
        """``Model.download``."""
        opened = self._session.opened()
        if model.artifact is None:
            raise MLOpsException(
                f"model {model.get_id()!r} was made here: its path is {model.get_model_path()!r}"
            )
        fetch(_named(model), model.artifact, filepath, opened.settings)
        model.set_model_path(filepath)
        if model.deployment is not None or model.get_id() == opened.models.deployed_id:
            opened.models.current = opened.models.downloaded = model
            opened.output.event(_accepted(model, model.artifact))

    def read(self, model: Model) -> bytes | str:
        """A model's bytes from the artifact store, checked; decoded if its format is text."""
        import tempfile
        from pathlib import Path

        if model.artifact is None:
            raise MLOpsException(f"model {model.get_id()!r} has no bytes in the artifact store")
        settings = self._session.opened().settings
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model"
            fetch(_named(model), model.artifact._replace(is_directory=False), file, settings)
            return model_bytes(file, model.metadata.model_format)

    def _load_current(self, opened: Opened) -> None:
        """Load the model that the agent started this component with."""
        model_id, platform, in_use = opened.environment.model_id, opened.platform, opened.models
        if not model_id or platform is None:
            return
        from parallelm.warehouse.queries import model_announcement

        try:
            model = self._deployed(opened, platform, model_id)
            if model is None:  # the agent was told by a person, for example
                row = platform.ask(model_announcement, model_id)
                model = None if row is None else model_of_row(self, row)
            in_use.current = model
            _load_training_histograms(platform, in_use, model_id)
        except MLOpsConnectionException as error:
            _log.warning("model %s could not be loaded: %s", model_id, error)
        in_use.deployed_id = model_id


def _named(model: Model) -> str:
    return f"model {model.get_id()!r}"


def model_bytes(file: Path, model_format: ModelFormat) -> bytes | str:
    """A model's content, decoded if its format is text."""
    content = file.read_bytes()
    return content.decode() if model_format.is_text else content


def _accepted(model: Model, artifact: Artifact) -> EventReport:
    """The event that confirms a deployment to the platform."""
    answers = {"deployment_id": model.deployment.deployment_id} if model.deployment else {}
    return EventReport(
        type_name=MODEL_ACCEPTED,
        type_number=type_number(MODEL_ACCEPTED),
        title=MODEL_ACCEPTED,
        description=f"downloaded, {artifact.size_bytes} bytes, checksum holds",
        is_alert=False,
        model_id=model.get_id(),
        content_type="application/json",
        payload=json_text({"model_id": model.get_id(), "sha256": artifact.sha256} | answers).encode(),
        time_ns=report_time_ns(),
    )


def _load_training_histograms(platform: Platform, in_use: ModelsInUse, model_id: str) -> Sequence[Histogram]:
    """Remember the training histograms of this model and of the current one; forget others."""
    if known := in_use.trained_on.get(model_id):
        return known
    from parallelm.schemas.records import Histogram, HistogramKind
    from parallelm.warehouse.queries import training_histograms

    rows = platform.ask(training_histograms, model_id, PHASE_LABEL, TRAINING_PHASE)
    found = [
        Histogram(
            feature=row["feature"],
            kind=HistogramKind(row["kind"]),
            edges=row["edges"],
            categories=row["categories"],
            weights=row["weights"],
            row_count=row["row_count"],
            missing_count=row["missing_count"],
        )
        for row in rows
    ]
    current_id = None if in_use.current is None else in_use.current.get_id()
    current = {known: trained_on for known, trained_on in in_use.trained_on.items() if known == current_id}
    in_use.trained_on = current | {model_id: found}
    return found


def _to_publish(model: Model) -> ModelToPublish:
    from pathlib import Path

    from parallelm.mlops._models.outbox import ModelToPublish

    metadata = model.metadata
    if model.artifact is not None:
        raise MLOpsException(
            f"model {model.get_id()!r} comes from the platform and was published already: make a new Model"
        )
    path = model.get_model_path()
    if path is None or not Path(path).exists():
        raise MLOpsException(f"there is no model at {path!r}: call set_model_path() with its path")
    is_directory = Path(path).is_dir()
    if is_directory != metadata.model_format.is_directory:
        wanted = "a directory" if metadata.model_format.is_directory else "a file"
        raise MLOpsException(f"a model of format {metadata.model_format.value} must be {wanted}: {path!r}")
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
        time_ns=report_time_ns(),
    )


def model_of_row(reporter: ModelReporter, row: Mapping[str, Any]) -> Model:
    """A model of a row of the table ``models``."""
    metadata = ModelMetadata(
        row["model_id"], row["name"], ModelFormat.from_str(row["format"]), row["description"]
    )
    metadata.annotations = {key: json.loads(value) for key, value in row["annotations"].items()}
    metadata.size = row["size_bytes"]
    metadata.owner = row["owner"]
    metadata.train_version = row["train_version"]
    metadata.model_version = row["model_version"]
    created = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(row["created_ms"]))
    metadata.created_on = created.isoformat()
    artifact = Artifact(row["artifact_url"], bool(row["is_directory"]), row["size_bytes"], row["sha256"], row)
    return Model(reporter, metadata, artifact)
