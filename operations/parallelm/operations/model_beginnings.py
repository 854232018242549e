"""How files of each format begin, for the formats whose files all begin alike. What is behind is opened by nobody here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from parallelm.schemas.well_known import DIRECTORY_FORMATS

READ_BYTES: Final = 512
"""Of a file; text may begin with spaces."""

_ZIP: Final = rb"PK\x03\x04"
_PICKLE: Final = rb"\x80[\x02-\x0f]"
"""With its protocol; those before 2 begin with any of their instructions."""
_JOBLIB: Final = rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b|BZh|\xfd7zXZ|\x5d\x00|\x04\x22\x4d\x18"
"""zlib, gzip, bzip2, xz, lzma, lz4."""
_OLD_PICKLE: Final = rb"[()\]}cIS]"
_SPACES: Final = rb"(?:\xef\xbb\xbf)?[ \t\r\n]*"


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What a format's files begin with."""

    pattern: re.Pattern[bytes]
    in_words: str


def _begins(pattern: bytes, in_words: str) -> _Beginning:
    return _Beginning(re.compile(pattern, re.DOTALL), in_words)


_BEGINNINGS: Final[dict[str, _Beginning]] = {
    "Json": _begins(_SPACES + rb'[{\["0-9tfn-]', "a JSON value"),
    "Pmml": _begins(_SPACES + rb"<|\xff\xfe<\x00|\xfe\xff\x00<", "XML"),
    "Text": _begins(rb"\xff\xfe|\xfe\xff|[^\x00]+\Z", "text"),
    "ScikitLearn_2": _begins(
        b"|".join((_PICKLE, _OLD_PICKLE, _JOBLIB, _ZIP)), "a pickle, or a file of joblib"
    ),
    "ScikitLearn_3": _begins(b"|".join((_PICKLE, _JOBLIB, _ZIP)), "a pickle, or a file of joblib or skops"),
    "H2O_Driverless_AI": _begins(_ZIP, "a zip file"),
    "Pytorch": _begins(
        b"|".join((_ZIP, _PICKLE, rb".{8}\{")), "a file of torch.save, torch.jit.save or safetensors"
    ),
    **{
        name: _begins(rb"\x1f\x8b", "a directory: upload it as a tar.gz")
        for name in sorted(DIRECTORY_FORMATS)
    },
}


def wanted_beginning(model_format: str, beginning: bytes) -> str | None:
    """What a file of this format is, in words, when it does not begin so; None when it may be one."""
    known = _BEGINNINGS.get(model_format)
    return None if known is None or known.pattern.match(beginning) else known.in_words
