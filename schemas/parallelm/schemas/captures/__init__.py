"""What a timeline capture file is: its members, its manifest, and how it is read without trusting it.

Operations write and import captures, the component library reads them: both hold to what is said here.
"""

from parallelm.schemas.captures.archive import CaptureArchive, Limits
from parallelm.schemas.captures.manifest import CaptureManifest, ManifestMember

__all__ = ["CaptureArchive", "CaptureManifest", "Limits", "ManifestMember"]
