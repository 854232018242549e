"""The manifest of a capture: of which MLApp and time it is, and size, rows and SHA-256 of each other member."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from parallelm.schemas.errors import CaptureFileError

FORMAT: Final = "mcenter-timeline-capture"
VERSION: Final = 1
_SHA256_DIGITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestMember:
    """One file of the tar."""

    name: str
    size_bytes: int
    sha256: str
    rows: int
    """Rows of a table; 0 for other files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureManifest:
    """What a capture is, and its members but the manifest itself."""

    capture_id: str
    name: str
    mlapp_id: str
    mlapp_name: str
    start_ms: int
    """First millisecond of its event times."""
    end_ms: int
    """The one after the last."""
    known_at_ms: int
    """It holds what had arrived by then."""
    created_by: str
    topic_prefix: str
    """Prefix of the topics that its rows came from."""
    members: tuple[ManifestMember, ...]

    def member(self, name: str) -> ManifestMember | None:
        """The member of this name, if there is one."""
        return next((each for each in self.members if each.name == name), None)

    def to_json(self) -> str:
        """Text of the file."""
        return json.dumps(
            {"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False
        )


def parse_manifest(data: bytes) -> CaptureManifest:
    """Inverse of ``to_json``; raises ``CaptureFileError`` for anything else."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CaptureFileError(f"the manifest is not JSON: {error}") from error
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise CaptureFileError(f"the manifest does not say that it is of format {FORMAT!r}")
    version = given.get("version")
    if version != VERSION:
        raise CaptureFileError(
            f"the capture has format version {version!r}, this program reads version {VERSION}: read it with the "
            "mcenter-stream that wrote it, or a newer one"
        )
    members = given.get("members")
    if not isinstance(members, list):
        raise CaptureFileError("the manifest has no list of members")
    parsed = tuple(_parsed(ManifestMember, each, "a member of the manifest") for each in members)
    for each in parsed:
        if each.size_bytes < 0 or each.rows < 0 or not _is_sha256(each.sha256):
            raise CaptureFileError(f"the manifest has no size, rows and SHA-256 of member {each.name!r}")
    manifest: CaptureManifest = _parsed(CaptureManifest, given | {"members": parsed}, "the manifest")
    if not manifest.start_ms < manifest.end_ms:
        raise CaptureFileError(
            f"the manifest has the range from {manifest.start_ms} to {manifest.end_ms} ms: it is empty"
        )
    return manifest


def _parsed(kind: type, given: Any, what: str) -> Any:
    types = {"int": int, "str": str, "tuple[ManifestMember, ...]": tuple}
    values = {}
    for field in fields(kind):
        wanted = types[str(field.type)]
        value = given.get(field.name) if isinstance(given, dict) else None
        if type(value) is not wanted:
            raise CaptureFileError(
                f"{what} has {value!r} as {field.name}; it must be of type {wanted.__name__}"
            )
        values[field.name] = value
    return kind(**values)


def _is_sha256(text: str) -> bool:
    return len(text) == _SHA256_DIGITS and set(text) <= set("0123456789abcdef")
