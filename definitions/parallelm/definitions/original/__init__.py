"""MLApps, pipelines and components in the files of the original platform: what comes over from them, and what goes back.

Everything here is plain: documents in, documents and notes out. A note tells of one thing that does not come over.
"""

from parallelm.definitions.original.components import component_from_original, component_to_original
from parallelm.definitions.original.mlapps import (
    ModelPath,
    mlapp_from_original,
    mlapp_id_of,
    mlapp_to_original,
)
from parallelm.definitions.original.notes import Note, Notes

__all__ = [
    "ModelPath",
    "Note",
    "Notes",
    "component_from_original",
    "component_to_original",
    "mlapp_from_original",
    "mlapp_id_of",
    "mlapp_to_original",
]
