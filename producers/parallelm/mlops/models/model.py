"""A model that a component trained and publishes, or that it got from the platform."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import is_text, quoted, refusing, type_name
from parallelm.mlops.stats._values import jsonable, string
from parallelm.mlops.stats_category import StatCategory
from parallelm.schemas.well_known import DIRECTORY_FORMATS, TEXT_FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from parallelm.mlops.models.deployment import Deployment


class ModelFormat(str, Enum):  # noqa: UP042 - str() of a member is part of the public contract
    """Format of a model's bytes."""

    JSON = "Json"
    SAVEDMODEL = "Savedmodel"
    SPARKML = "SparkML"
    BINARY = "Binary"
    TEXT = "Text"
    SCIKIT_LEARN_2 = "ScikitLearn_2"
    SCIKIT_LEARN_3 = "ScikitLearn_3"
    H2O_3 = "H2O_3"
    H2O_DRIVERLESS_AI = "H2O_Driverless_AI"
    PMML = "Pmml"
    ONNX = "Onnx"
    PYTORCH = "Pytorch"
    XGBOOST = "Xgboost"
    MLFLOW = "Mlflow"
    UNKNOWN = "Unknown"

    @property
    def is_directory(self) -> bool:
        """Whether models of this format are directories."""
        return self.value in DIRECTORY_FORMATS

    @property
    def is_text(self) -> bool:
        """Whether models of this format are text."""
        return self.value in TEXT_FORMATS

    @classmethod
    def from_str(cls, name: str) -> ModelFormat:
        """Format with this name or value, in any case; raises ``MLOpsException`` with the known formats."""
        if is_text(name):
            wanted = string(name, "a model's format").casefold()
            for known in cls:
                if wanted in {known.name.casefold(), known.value.casefold()}:
                    return known
        raise MLOpsException(
            f"unknown model format {quoted(name)}; known formats: {', '.join(known.value for known in cls)}"
        )


@refusing
class ModelMetadata:
    """Metadata of a model. Unknown fields are empty."""

    def __init__(
        self,
        modelId: str,  # noqa: N803 - the public contract's name
        name: str,
        model_format: ModelFormat,
        description: str = "",
    ) -> None:
        self.modelId = string(modelId, "a model's id")
        self.name = string(name, "a model's name")
        if not issubclass(type(model_format), ModelFormat):
            raise MLOpsException(f"a model's format must be a ModelFormat, not {type_name(model_format)}")
        self.model_format = model_format
        self.description = string(description, "a model's description")
        self.annotations: dict[str, Any] = {}
        self.size = 0
        self.owner = ""
        self.train_version = ""
        self.model_version = ""
        self.active = False
        self.created_on = ""
        self.flag_values: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"ModelMetadata({self.to_dict()})"

    def to_dict(self) -> dict[str, Any]:
        """All fields, under the column names of ``get_model_by_id``."""
        return {
            "id": self.modelId,
            "name": self.name,
            "format": self.model_format.value,
            "modelVersion": self.model_version,
            "trainVersion": self.train_version,
            "size": self.size,
            "owner": self.owner,
            "createdOn": self.created_on,
            "flagValues": dict(self.flag_values),
            "annotations": dict(self.annotations),
            "active": self.active,
            "description": self.description,
        }


class Artifact(NamedTuple):
    """Location of a model's bytes, with their size and checksum."""

    url: str
    is_directory: bool
    size_bytes: int
    sha256: str
    announced: Mapping[str, Any] | None = None
    """Of a model its row in the table of models, or what has the same fields."""
    signing_keys: Sequence[str] = ()
    """Keys of which one must have signed it, beside those that the host's settings trust; empty: no demand."""


class ModelReporter(Protocol):
    """The part of the library that a model uses; its reports carry the model's id."""

    def report_stat(
        self,
        name: Any,
        data: Any,
        category: StatCategory,
        timestamp: Any,
        options: dict[str, Any],
        model_id: str,
    ) -> None:
        """Report a statistic."""

    def report_kpi(
        self,
        name: str,
        data: Any,
        timestamp: Any,
        units: str | None,
        labels: Mapping[str, str] | None,
        model_id: str,
    ) -> None:
        """Report a KPI."""

    def report_distribution(
        self, data: Any, model: Model | None, timestamp: Any, units: str | None = None
    ) -> None:
        """Report the distribution that a model was trained on."""

    def download_model(self, model: Model, filepath: str | Path) -> None:
        """Fetch a model's bytes, checked."""


@refusing
class Model:
    """One model. Everything that is reported through it carries its id. Equal to another by id.

    Made by ``mlops.Model(…)`` and by the calls that ask the platform for models, not directly.
    """

    def __init__(
        self, reporter: ModelReporter, metadata: ModelMetadata, artifact: Artifact | None = None
    ) -> None:
        self._reporter = reporter
        self.metadata = metadata
        self.artifact = artifact
        """Location of the bytes; None for a model that this component made."""
        self.deployment: Deployment | None = None
        """The deployment through which this component got it; None for a model that came in another way."""
        self._path: str | None = None

    @classmethod
    def new(
        cls, reporter: ModelReporter, name: str, model_format: ModelFormat | str, description: str
    ) -> Model:
        """A new model of this component, with a fresh id; raises ``MLOpsException`` for format UNKNOWN."""
        import uuid

        known = model_format if isinstance(model_format, ModelFormat) else ModelFormat.from_str(model_format)
        if known is ModelFormat.UNKNOWN:
            raise MLOpsException("a model needs a format, for example ModelFormat.SCIKIT_LEARN_3")
        return cls(reporter, ModelMetadata(str(uuid.uuid4()), name, known, description))

    def get_id(self) -> str:
        """The model's id."""
        return self.metadata.modelId

    @property
    def id(self) -> str:
        """The model's id."""
        return self.metadata.modelId

    def set_model_path(self, path: str | Path) -> None:
        """Set the path of the model's file or directory, and the size if it is an existing file."""
        if not isinstance(path, (str, os.PathLike)):
            raise MLOpsException(f"a model's path must be a text or a Path, not {type(path).__name__}")
        from pathlib import Path

        self._path = str(path)
        try:
            if Path(self._path).is_file():
                self.metadata.size = Path(self._path).stat().st_size
        except OSError:  # publish_model reports what is wrong with it
            return

    def get_model_path(self) -> str | None:
        """Path of the model's file or directory on this host; None if unknown."""
        return self._path

    def set_annotations(self, annotations: Mapping[str, Any]) -> None:
        """Attach further metadata: a dict with texts as keys and anything that JSON can hold as values."""
        plain = jsonable(annotations, "the annotations of a model")
        if not isinstance(plain, dict):
            raise MLOpsException(
                f"the annotations of a model must be a dict, not {type(annotations).__name__}"
            )
        self.metadata.annotations = plain

    def get_annotations(self) -> dict[str, Any]:
        """The annotations, a copy."""
        return dict(self.metadata.annotations)

    def set_stat(
        self,
        name: Any,
        data: Any = None,
        category: StatCategory = StatCategory.TIME_SERIES,
        timestamp: Any = None,
        **kwargs: Any,
    ) -> None:
        """As ``mlops.set_stat``, about this model."""
        self._reporter.report_stat(name, data, category, timestamp, kwargs, self.get_id())

    def set_kpi(
        self,
        name: str,
        data: Any,
        timestamp: Any = None,
        units: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """As ``mlops.set_kpi``, about this model."""
        self._reporter.report_kpi(name, data, timestamp, units, labels, self.get_id())

    def set_data_distribution_stat(
        self,
        data: Any,
        model: Any = None,  # noqa: ARG002 - older components pass the model itself
        timestamp: Any = None,
        *,
        units: str | None = None,
    ) -> None:
        """Report the distribution of the data that this model was trained on (array or frame)."""
        self._reporter.report_distribution(data, self, timestamp, units)

    def feature_importance(
        self,
        feature_importance_vector: Any = None,
        feature_names: Any = None,
        model: Any = None,
        df: Any = None,
        num_significant_features: int = 8,
    ) -> None:
        """Report the most important features as bar graph "Feature Importance", in descending order.

        Needs the importances or a fitted scikit-learn model that has them, and the names of the features or the training
        frame. Raises ``MLOpsException`` otherwise.
        """
        from parallelm.mlops.models._feature_importance import importance_graph

        graph = importance_graph(
            feature_importance_vector, feature_names, model, df, num_significant_features
        )
        self.set_stat(graph)

    def download(self, filepath: str | Path) -> None:
        """Write the model to ``filepath``; a directory model becomes that directory.

        Size and SHA-256 are checked first; then the model appears atomically. It replaces only an empty file or directory,
        or what an earlier download wrote to the same path; for anything else ``MLOpsException`` is raised before the
        model is fetched. Earlier downloads are listed in ``.<name>.mcenter-downloads`` beside the path.

        If the model was deployed to this node, its acceptance is reported to the platform. Raises
        ``MLOpsConnectionException`` if the artifact store cannot be reached, ``MLOpsException`` if the bytes differ
        from those published or cannot be written.
        """
        self._reporter.download_model(self, filepath)

    def __eq__(self, other: object) -> bool:
        # type(), since isinstance asks the value for its class, which may raise.
        return issubclass(type(other), Model) and cast("Model", other).get_id() == self.get_id()

    def __hash__(self) -> int:
        return hash(self.get_id())

    def __repr__(self) -> str:
        return f"Model({self.get_id()!r}, {self.metadata.name!r}, {self.metadata.model_format.value})"
