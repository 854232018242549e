"""The files of models as people handle them: uploaded, read and deleted, through the real processors and sink."""

from __future__ import annotations

import dataclasses
import gzip
import io
import itertools
import lzma
import pickle
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.connections.artifacts import artifact_url, local_path
from parallelm.mcenter.cli import cli
from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.operations.errors import (
    ArtifactStoreError,
    ModelDeletedError,
    ModelExistsError,
    ModelFileError,
    ModelInUseError,
    UnknownModelError,
    UnknownNodeError,
)
from parallelm.operations.explaining import explain
from parallelm.operations.model_beginnings import READ_BYTES, wanted_beginning
from parallelm.operations.model_files import (
    NewModel,
    delete_model,
    open_model,
    signature_of,
    upload_model,
)
from parallelm.operations.models import decide
from parallelm.schemas.codec import Codec
from parallelm.schemas.model_signatures import key_id_of, new_key
from parallelm.schemas.records import ModelAnnouncement, Origin
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.topics import MODELS
from parallelm.server.problems import STATUS_OF
from parallelm.warehouse.queries import deployment_history, deployments, models
from tests.people import person
from tests.waiting import wait_for

if TYPE_CHECKING:
    from parallelm.connections import Settings

MLAPP = "uploads"
DEFINITION = b"""\
mlapp: uploads
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, parents: [train], consumes: [train]}
policy: {model_policy: manual}
"""
CONTENT = b'{"bias": 0.5}' * 200_000


@pytest.fixture(scope="module")
def defined(platform: Settings) -> Settings:
    apply_definition(platform, validate_definition(DEFINITION, "uploads.yaml"), who=person("ada"))
    return platform


def uploaded(settings: Settings, folder: Path, node_id: str = "") -> ModelAnnouncement:
    file = folder / "model.json"
    file.write_bytes(CONTENT)
    model = NewModel(name="by hand", format="Json", file_name="model.json", node_id=node_id)
    made = upload_model(settings, MLAPP, file, model, who=person("ada"), comment="from the old system")
    wait_for(lambda: len(models(settings, model_id=made.model_id)) == 1)
    return made


def test_an_uploaded_model_is_read_as_it_was_until_it_is_deleted(defined: Settings, tmp_path: Path):
    made = uploaded(defined, tmp_path)
    stored = open_model(defined, made.model_id)
    assert (stored.file_name, stored.size_bytes) == ("model.json", len(CONTENT))
    assert b"".join(stored.chunks) == CONTENT

    answer = delete_model(defined, MLAPP, made.model_id, who=person("ada"), comment="not needed")
    assert (answer.state, answer.reason) == ("deleted", "ada deleted it: not needed")
    assert not Path(local_path(made.artifact_url)).exists()
    wait_for(lambda: models(defined, model_id=made.model_id)["deleted_by"].item() == "ada")
    with pytest.raises(ModelDeletedError, match="deleted by ada"):
        open_model(defined, made.model_id)
    (refused,) = decide(defined, "deploy", MLAPP, who=person("ada"), model_id=made.model_id)
    assert (refused.state, refused.reason) == (
        "refused",
        f"deploy refused: model {made.model_id} was deleted",
    )


def test_a_model_that_waits_for_a_review_is_offered_to_its_node_and_not_deleted(
    defined: Settings, tmp_path: Path
):
    made = uploaded(defined, tmp_path, "train")

    def states() -> list[str]:
        return list(deployments(defined, mlapp_id=MLAPP, model_id=made.model_id)["state"])

    wait_for(lambda: states() == ["awaiting_approval"], states)
    with pytest.raises(ModelInUseError, match="is awaiting_approval on node 'predict'"):
        delete_model(defined, MLAPP, made.model_id, who=person("ada"), comment="not needed")
    assert b"".join(open_model(defined, made.model_id).chunks) == CONTENT


def test_deleting_goes_on_where_it_was_interrupted(defined: Settings, tmp_path: Path):
    made = uploaded(defined, tmp_path)
    file = Path(local_path(made.artifact_url))
    delete_model(defined, MLAPP, made.model_id, who=person("ada"), comment="first")
    file.write_bytes(CONTENT)  # as if the process had ended before it was removed
    assert delete_model(defined, MLAPP, made.model_id, who=person("ada"), comment="again").state == "deleted"
    assert not file.exists()


def test_a_download_of_other_bytes_than_those_published_does_not_end_well(defined: Settings, tmp_path: Path):
    made = uploaded(defined, tmp_path)
    file = Path(local_path(made.artifact_url))
    file.write_bytes(CONTENT[:-1] + b"?")
    read = bytearray()
    with pytest.raises(ArtifactStoreError, match="not the 2600000 bytes"):
        read.extend(itertools.chain.from_iterable(open_model(defined, made.model_id).chunks))
    assert len(read) < len(CONTENT)
    file.unlink()
    with pytest.raises(ArtifactStoreError, match="has no file of model"):
        open_model(defined, made.model_id)


def test_a_model_that_does_not_exist_is_named(defined: Settings):
    with pytest.raises(UnknownModelError, match="no model 'nothing'"):
        open_model(defined, "nothing")
    with pytest.raises(UnknownModelError, match="MLApp 'uploads' has no model 'nothing'"):
        delete_model(defined, MLAPP, "nothing", who=person("ada"), comment="")


@pytest.mark.parametrize(
    ("changes", "content", "message"),
    [
        ({"file_name": "../model.json"}, b"{}", "is not the name of a file"),
        ({"file_name": "a\\b"}, b"{}", "is not the name of a file"),
        ({"file_name": ""}, b"{}", "is not the name of a file"),
        ({"name": " "}, b"{}", "needs a name"),
        ({"format": "Pickle"}, b"{}", "there is no format 'Pickle'"),
        ({"format": "Savedmodel"}, b"{}", "upload it as a tar.gz"),
        ({}, b"", "is empty"),
        ({}, b"<html>", "format Json is a JSON value; model.json begins with b'<html>'"),
        ({"format": "Pmml"}, b"{}", "is XML"),
        ({"format": "Text"}, b"a\0", "is text"),
        ({"format": "ScikitLearn_3"}, b"<!DOCTYPE html>", "is a pickle, or a file of joblib or skops"),
        ({"format": "Pytorch"}, b"{}", "is a file of torch.save"),
        ({"format": "H2O_Driverless_AI"}, b"{}", "is a zip file"),
    ],
)
def test_what_cannot_be_a_model_is_refused(
    defined: Settings, tmp_path: Path, changes: dict[str, str], content: bytes, message: str
):
    file = tmp_path / "file"
    file.write_bytes(content)
    said = {"name": "m", "format": "Json", "file_name": "model.json"} | changes
    with pytest.raises(ModelFileError, match=message):
        upload_model(defined, MLAPP, file, NewModel(**said), who=person("ada"))


def test_files_as_programs_write_them_may_be_models():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("archive/data.pkl", b"")
    pickles = [pickle.dumps({"a": 1}, protocol) for protocol in (2, 3, 4, 5)]
    written = {
        "Json": [b' \n{"a": 1}', b"\xef\xbb\xbf[1]", b"-1.5"],
        "Pmml": [b'<?xml version="1.0"?>', "\ufeff<PMML/>".encode("utf-16-le")],
        "Text": [b"weights 1 2", "é".encode("utf-16")],
        "ScikitLearn_2": [*pickles, pickle.dumps({"a": 1}, 0), pickle.dumps([1], 1), packed.getvalue()],
        "ScikitLearn_3": [*pickles, packed.getvalue(), zlib.compress(b"x"), gzip.compress(b"x"), lzma.compress(b"x")],
        "Pytorch": [packed.getvalue(), pickles[0], (64).to_bytes(8, "little") + b"{}"],
        "H2O_Driverless_AI": [packed.getvalue()],
        "Mlflow": [gzip.compress(b"")],
        "Onnx": [b"\x08\x07"], "Xgboost": [b"{L", b"\0\0"], "H2O_3": [b"public class"], "Binary": [b"?"], "Unknown": [b"?"],
    }  # fmt: skip
    refused = [
        (name, each)
        for name, files in written.items()
        for each in files
        if wanted_beginning(name, each[:READ_BYTES])
    ]
    assert refused == []


def test_a_node_that_does_not_exist_is_named(defined: Settings, tmp_path: Path):
    with pytest.raises(UnknownNodeError, match="no node 'elsewhere'"):
        uploaded(defined, tmp_path, "elsewhere")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://127.0.0.1:1/secret", "{own}/../../other/secret", "{own}/%2e%2e/x"]
)
def test_a_model_that_names_any_other_place_as_its_file_is_not_opened(defined: Settings, url: str):
    model_id = uuid.uuid4().hex
    own = artifact_url(defined.artifacts, MLAPP, model_id, "f").removesuffix("/f")
    announced = ModelAnnouncement(
        origin=Origin(mlapp_id=MLAPP, node_id="", pipeline_instance_id="", agent_id="h"),
        producer_id="p", seq=0, event_time_ms=1_780_000_000_000, model_id=model_id, name="n", format="Json", description="",
        artifact_url=url.format(own=own), file_name="f", is_directory=False, size_bytes=1, sha256="", annotations={}, owner="",
        train_version="", model_version="",
    )  # fmt: skip
    codec = Codec(make_registry(defined.schema_registry, defined.kafka.topic_prefix))
    name = MODELS.full_name(defined.kafka.topic_prefix)
    TopicWriter(defined).write([OutgoingRecord(name, MODELS.key(announced), codec.encode(announced))])
    wait_for(lambda: len(models(defined, model_id=model_id)) == 1)
    with pytest.raises(ArtifactStoreError, match="is not its place"):
        open_model(defined, model_id)
    with pytest.raises(ArtifactStoreError, match="is not its place"):
        delete_model(defined, MLAPP, model_id, who="ada", comment="")


def test_the_command_uploads_downloads_and_deletes(defined: Settings, tmp_path: Path):
    config = tmp_path / "mcenter.toml"
    save_settings(defined, config)
    file = tmp_path / "model.onnx"
    file.write_bytes(CONTENT)

    def mcenter(*arguments: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(cli, ["model", *arguments], env={"MCENTER_CONFIG": str(config)})
        assert result.exit_code == exit_code, result.output
        return result.output

    said = mcenter("upload", str(file), "--mlapp", MLAPP, "--format", "Onnx", "--annotation", "runs=3")
    model_id = said.split()[1]
    wait_for(lambda: len(models(defined, model_id=model_id)) == 1)
    assert models(defined, model_id=model_id)["annotations"].item()["runs"] == "3"
    target = tmp_path / "copy.onnx"
    mcenter("download", model_id[:10], "--mlapp", MLAPP, "--output", str(target))
    assert target.read_bytes() == CONTENT
    again = mcenter("download", model_id, "--mlapp", MLAPP, "--output", str(target), exit_code=1)
    assert "is there already" in again
    said = mcenter("delete", model_id, "--mlapp", MLAPP, "--who", "ada", "--comment", "a try")
    assert said == f"model {model_id}: ada deleted it: a try\n"
    wait_for(lambda: models(defined, model_id=model_id)["deleted_by"].item() == "ada")
    gone = mcenter("download", model_id, "--mlapp", MLAPP, "--output", str(tmp_path / "x"), exit_code=1)
    assert "was deleted by ada" in gone


def test_a_policy_that_demands_signatures_takes_signed_uploads_only_and_it_is_told_why(
    platform: Settings, tmp_path: Path
):
    key = new_key().decode()
    text = DEFINITION.replace(b"uploads", b"signed").replace(
        b"manual}", f'always_update, signing_keys: ["{key_id_of(key)}"]}}'.encode()
    )
    apply_definition(platform, validate_definition(text, "signed.yaml"), who=person("ada"))
    signing = dataclasses.replace(
        platform, artifacts=dataclasses.replace(platform.artifacts, signing_key=key)
    )
    file = tmp_path / "model.json"
    file.write_bytes(CONTENT)
    model = NewModel(name="by hand", format="Json", file_name="model.json", node_id="train")
    for settings, state in ((platform, "skipped"), (signing, "requested")):
        made = upload_model(settings, "signed", file, model, who=person("ada"))

        def told(model_id: str = made.model_id) -> list[str]:
            history = deployment_history(platform, mlapp_id="signed", model_id=model_id)
            return [str(each) for each in history["state"]]

        wait_for(lambda found=told, wanted=state: found() == [wanted], told)
        wait_for(lambda one=made.model_id: len(models(platform, model_id=one)) == 1)
        (row,) = models(platform, model_id=made.model_id).to_dict("records")
        assert row["signed_by"] == (key_id_of(key) if state == "requested" else "")
        explained = str(explain(platform, made.model_id))
        assert ("the policy demands a signature: it is not signed" in explained) == (state == "skipped")


def test_a_signature_made_elsewhere_is_taken_when_it_fits(defined: Settings, tmp_path: Path):
    key, model_id = new_key().decode(), f"m-{uuid.uuid4().hex[:8]}"
    signing = dataclasses.replace(defined, artifacts=dataclasses.replace(defined.artifacts, signing_key=key))
    file = tmp_path / "model.json"
    file.write_bytes(CONTENT)
    signature = signature_of(signing, MLAPP, file, "by hand", "Json", model_id)
    model = NewModel(
        name="by hand", format="Json", file_name="model.json", model_id=model_id, signature=signature
    )
    with pytest.raises(ModelFileError, match=r"signature is refused: its signature by key .* does not fit"):
        upload_model(defined, MLAPP, file, dataclasses.replace(model, name="another"), who=person("ada"))
    assert upload_model(defined, MLAPP, file, model, who=person("ada")).signature == signature


def test_another_file_under_the_id_of_a_model_is_refused(defined: Settings, tmp_path: Path):
    file, model_id = tmp_path / "model.json", f"m-{uuid.uuid4().hex[:8]}"
    file.write_bytes(CONTENT)
    model = NewModel(name="by hand", format="Json", file_name="model.json", model_id=model_id)
    upload_model(defined, MLAPP, file, model, who=person("ada"))
    upload_model(defined, MLAPP, file, model, who=person("ada"))  # the answer was lost
    wait_for(lambda: len(models(defined, model_id=model_id)) == 1)
    file.write_bytes(b'{"other": 1}')
    for other in (model, dataclasses.replace(model, file_name="other.json")):
        with pytest.raises(ModelExistsError, match=f"has another model '{model_id}' already"):
            upload_model(defined, MLAPP, file, other, who=person("eve"))
    assert b"".join(open_model(defined, model_id).chunks) == CONTENT
    assert STATUS_OF[ModelExistsError] == 409
