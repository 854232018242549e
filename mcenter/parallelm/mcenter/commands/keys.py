"""``mcenter keys``: make keys that sign models, and tell their ids."""

from __future__ import annotations

import os
from pathlib import Path

import click

from parallelm.mcenter.terminal import echo
from parallelm.schemas.model_signatures import key_id_of, new_key


@click.group()
def keys() -> None:
    """Make keys that sign models, and tell their ids.

    The file holds the private key: [artifacts] signing_key_file names it where models are published. Policies and
    [artifacts] trusted_keys name the id, which is no secret.
    """


@keys.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def generate(file: Path) -> None:
    """Write a new private key to FILE, readable by its owner only, and print its id. A file that is there stays."""
    key = new_key()
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "wb") as out:
            out.write(key)
    except FileExistsError:
        raise click.ClickException(
            f"{file} is there already: a key is not replaced; name another file"
        ) from None
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from error
    echo(key_id_of(key.decode()))


@keys.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def show(file: Path) -> None:
    """Print the id of the key in FILE."""
    echo(key_id_of(file.read_text(encoding="utf-8", errors="replace")))
