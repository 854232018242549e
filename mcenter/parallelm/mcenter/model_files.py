"""``mcenter models upload | download | delete``: the files of models."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import WHO, answer_options
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.terminal import echo
from parallelm.schemas.well_known import MODEL_FORMATS

_MODEL = click.argument("model_id", metavar="MODEL")
_APP = click.option("--mlapp", "mlapp_id", required=True, help="MLApp.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_APP
@click.option("--format", "format_", required=True, type=click.Choice(MODEL_FORMATS, case_sensitive=False))
@click.option("--name", help="Its name.  [default: that of FILE]")
@click.option("--node", "node_id", default="", help="Node that it is taken to come from.  [default: none]")
@click.option("--description", default="")
@click.option(
    "--annotation", "annotations", type=KEY_VALUE, multiple=True, help="team=retention; repeatable."
)
@click.option("--model-id", default="", help="Of a model that was signed elsewhere.  [default: a new one]")
@click.option("--signature", default="", help="What `mcenter models sign` has printed for it.")
@WHO
@click.option("--comment", default="", help="Why.")
def upload(
    file: Path,
    mlapp_id: str,
    format_: str,
    name: str | None,
    node_id: str,
    description: str,
    annotations: tuple[tuple[str, str], ...],
    model_id: str,
    signature: str,
    who: str | None,
    comment: str,
) -> None:
    """Upload FILE as a model, as if a component had published it; of a directory a tar.gz. Nodes that consume models of --node are offered it."""
    from parallelm.operations.acting.models import model_actions
    from parallelm.operations.model_files import NewModel

    settings = load_settings()
    wanted = NewModel(
        name=name or file.name,
        format=format_,
        file_name=file.name,
        description=description,
        node_id=node_id,
        annotations={key: _value(text) for key, text in annotations},
        model_id=model_id,
        signature=signature,
    )
    made = model_actions(settings, who).upload(mlapp_id, file, wanted, comment=comment)
    echo(
        f"model {made.model_id} of MLApp {mlapp_id} is uploaded: {made.size_bytes} bytes, sha256 {made.sha256}"
        f"{', signed' if made.is_signed else ''}"
    )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_APP
@click.option("--format", "format_", required=True, type=click.Choice(MODEL_FORMATS, case_sensitive=False))
@click.option("--name", help="Its name.  [default: that of FILE]")
@click.option("--model-id", required=True, help="Id that it will have: letters, digits, _ and -.")
def sign(file: Path, mlapp_id: str, format_: str, name: str | None, model_id: str) -> None:
    """Print the signature of FILE as this model of this MLApp, by the key of [artifacts] signing_key; asks no server.

    Whoever uploads it gives the same --name, --format and --model-id, and the signature.
    """
    from parallelm.operations.model_files import signature_of

    echo(signature_of(load_settings(), mlapp_id, file, name or file.name, format_, model_id))


@click.command()
@_MODEL
@_APP
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File to write.  [default: its own name, here]"
)
def download(model_id: str, mlapp_id: str, output: Path | None) -> None:
    """Write the file of MODEL, once its checksum holds; a file that is there is not replaced."""
    from parallelm.operations.model_files import open_model
    from parallelm.operations.models import resolve_model

    settings = load_settings()
    with reported_in_one_line(settings):
        model_id = resolve_model(settings, mlapp_id, model_id)
        stored = open_model(settings, model_id, mlapp_id)
    target = output or Path(stored.file_name)
    if target.exists():
        raise click.ClickException(f"{target} is there already; name another file with --output")
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".mcenter-") as folder:
        part = Path(folder) / "part"
        with part.open("wb") as opened:
            for chunk in stored.chunks:
                opened.write(chunk)
        try:
            os.link(part, target)
        except FileExistsError:
            raise click.ClickException(f"{target} has appeared meanwhile; name another file") from None
        except OSError:  # a file system without links
            shutil.move(part, target)
    echo(f"{target}: {stored.size_bytes} bytes, sha256 {stored.sha256}")


@click.command()
@_MODEL
@_APP
@answer_options
def delete(model_id: str, mlapp_id: str, who: str | None, comment: str, timeout_s: float) -> None:
    """Remove the file of MODEL for good, unless it is live, pending or pinned. What it did stays."""
    from parallelm.operations.acting.models import model_actions

    settings = load_settings()
    with reported_in_one_line(settings):
        gone = model_actions(settings, who).delete(mlapp_id, model_id, comment=comment, timeout_s=timeout_s)
    echo(f"model {gone.model_id}: {gone.reason}")


def _value(text: str) -> object:
    """An annotation as JSON has it, else as text."""
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found


COMMANDS = (upload, download, delete, sign)
