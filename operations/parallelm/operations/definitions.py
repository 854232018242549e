"""MLApp definitions: validate a file, apply it, and read what is applied."""

from __future__ import annotations

import dataclasses
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.definitions import DefinitionError, DefinitionTopic, next_version, parse_definition, to_record
from parallelm.definitions.errors import FencedError
from parallelm.definitions.exclusive import ExclusiveWriter
from parallelm.definitions.parameters import with_values
from parallelm.definitions.records import component_names, components_of, with_components
from parallelm.operations.actions import action_to_send, new_action
from parallelm.operations.components import ComponentFolders
from parallelm.operations.errors import DefinitionChangedError, InvalidFileError, UnknownMLAppError
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import make_registry
from parallelm.schemas.well_known import APPLY_DEFINITION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.connections import Settings
    from parallelm.definitions.run_spec import ComponentSpec
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import MLAppDefinition
    from parallelm.schemas.topic_writer import OutgoingRecord


@dataclasses.dataclass(frozen=True, slots=True)
class AppliedDefinition:
    """The result of applying a definition."""

    definition: MLAppDefinition
    """The one in force now, with its version."""
    is_new: bool
    """False: the definition was already in force."""


def validate_definition(
    data: bytes, source: str, *, components: Path | None = None, values: Mapping[str, str] | None = None
) -> MLAppDefinition:
    """Record of an MLApp file, without its version; ``source`` is the file's name in messages.

    ``values`` are those of its parameters that differ from their defaults, as texts. ``components`` is the folder of the components that steps name; None: they are not looked at. Raises
    ``InvalidFileError`` with every mistake and its place.
    """
    folders = ComponentFolders(components) if components else None
    try:
        text = with_values(data.decode("utf-8-sig"), source, values or {})
        entry = parse_definition(text, source, folders.load if folders else None)
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{source} is not UTF-8: {error.reason} at byte {error.start}") from error
    except DefinitionError as error:
        lines = "\n".join([str(error), *(folders.mistakes if folders else ())])
        raise InvalidFileError(f"{source} is not a valid MLApp file:\n{lines}") from error
    if folders:
        folders.require_valid()
    return to_record(entry, text, version=0, applied_by="", event_time_ms=time.time_ns() // 1_000_000)


def apply_definition(
    settings: Settings,
    definition: MLAppDefinition,
    *,
    who: Author,
    base_version: int | None = None,
    components: Path | Mapping[str, ComponentSpec] | None = None,
) -> AppliedDefinition:
    """Make it the definition of its MLApp, in a new version when anything but comments and layout differs.

    Components that steps name are packed from the folder ``components`` into the artifact store, where it names those that
    are there already; others stay as they are in the version in force, and ``InvalidFileError`` names those that it does not
    have.

    The audit log gets an action ``apply_definition`` with each new version.

    ``base_version`` is the version that it was made from (0: there was none): ``DefinitionChangedError`` when another one is in
    force, or somebody else applies one at this moment. Raises ``TopicsError`` when the topic is missing, ``ClusterUnavailableError`` when no broker answers, and
    ``UndeliveredError`` when the broker does not confirm it.
    """
    wanted = dataclasses.replace(definition, applied_by=who.name)
    if components is not None:
        wanted = with_components(wanted, _published(settings, wanted, components))
    if base_version is not None:
        return _apply_alone(settings, wanted, who, base_version)
    with DefinitionTopic(settings) as topic:
        current = topic.catch_up().get(wanted.mlapp_id)
        new = next_version(current, _whole(wanted, current))
        if new is not None:
            topic.apply(new, _audit(settings, new, who))
            return AppliedDefinition(new, is_new=True)
    return AppliedDefinition(current or wanted, is_new=False)


def _published(
    settings: Settings, wanted: MLAppDefinition, components: Path | Mapping[str, ComponentSpec]
) -> Mapping[str, ComponentSpec]:
    """Those that it names, in the artifact store."""
    if not isinstance(components, Path):
        return components
    folders = ComponentFolders(components)
    folders.load(component_names(wanted))
    folders.require_valid()
    return folders.publish(settings)


def _apply_alone(
    settings: Settings, wanted: MLAppDefinition, who: Author, base_version: int
) -> AppliedDefinition:
    with ExclusiveWriter(settings, wanted.mlapp_id) as writer, DefinitionTopic(settings) as topic:
        current = topic.catch_up().get(wanted.mlapp_id)
        _require_base(current, wanted.mlapp_id, base_version)
        new = next_version(current, _whole(wanted, current))
        if new is None:
            return AppliedDefinition(current or wanted, is_new=False)
        try:
            writer.write(new, _audit(settings, new, who))
        except FencedError as error:
            raise DefinitionChangedError(
                f"somebody else applies a definition of MLApp {wanted.mlapp_id!r} at this moment: nothing was applied; take the "
                "change over into the version that is in force"
            ) from error
        return AppliedDefinition(new, is_new=True)


def _whole(wanted: MLAppDefinition, current: MLAppDefinition | None) -> MLAppDefinition:
    """With the components of the version in force, where it has none of its own; raises ``InvalidFileError``."""
    names = component_names(wanted)
    if not names:
        return wanted
    specs = (components_of(current) if current else {}) | components_of(wanted)
    missing = [name for name in names if name not in specs]
    if missing:
        raise InvalidFileError(
            f"MLApp {wanted.mlapp_id!r} names components that are not in the artifact store: {', '.join(missing)}; apply its "
            "file by `mcenter mlapps apply`, with their folders in components/ beside it"
        )
    return with_components(wanted, specs)


def _audit(settings: Settings, new: MLAppDefinition, who: Author) -> OutgoingRecord:
    said = {"version": str(new.version)}
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    action = new_action(APPLY_DEFINITION, new.mlapp_id, who=who, target=new.mlapp_id, parameters=said)
    return action_to_send(settings, action, codec)


def _require_base(current: MLAppDefinition | None, mlapp_id: str, base_version: int) -> None:
    version = current.version if current else 0
    if version == base_version:
        return
    now = (
        f"is at version {version} now, applied by {current.applied_by}"
        if current
        else "is not defined any more"
    )
    raise DefinitionChangedError(
        f"MLApp {mlapp_id!r} {now}, and this was made from version {base_version}: nothing was applied; take the change over "
        "into the version that is in force"
    )


def list_definitions(settings: Settings) -> list[MLAppDefinition]:
    """The definition in force of each MLApp, by id; raises as ``apply_definition``."""
    with _definitions(settings) as found:
        return [found[mlapp_id] for mlapp_id in sorted(found)]


def get_definition(settings: Settings, mlapp_id: str) -> MLAppDefinition:
    """The definition in force; raises ``UnknownMLAppError``, and as ``apply_definition``."""
    with _definitions(settings) as found:
        if mlapp_id in found:
            return found[mlapp_id]
        known = ", ".join(sorted(found)) or "none yet"
    raise UnknownMLAppError(f"there is no MLApp {mlapp_id!r}; there are: {known}")


@contextmanager
def _definitions(settings: Settings) -> Iterator[dict[str, MLAppDefinition]]:
    with DefinitionTopic(settings) as topic:
        yield dict(topic.catch_up())
