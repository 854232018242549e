"""What an error of ClickHouse means for the block that was being inserted: one line a code.

A code that is not listed counts as ``AWAY``: the block is tried again, and nothing of it is given up. So do codes that may be of
a record or of a table, such as ``BAD_ARGUMENTS``: a person sees them at ``/ready``.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(Enum):
    """What to do with the block."""

    AWAY = "away"
    """Something that the table needs is missing for now: the same block again later."""
    SLOW = "slow"
    """Not done in time: in smaller pieces; one record is tried for as long as it takes."""
    SMALLER = "smaller"
    """Too large for the server as it stands: in smaller pieces; one record that stays too large is a dead letter."""
    POISON = "poison"
    """A record in it does not fit: halved until the record is found, which is a dead letter."""
    STOP = "stop"
    """No table can be written with these settings: a person has to change something."""


class ServerError(NamedTuple):
    """One line of the table."""

    code: int
    name: str
    """As ClickHouse names it."""
    kind: Kind


_TABLE = (
    (8, "THERE_IS_NO_COLUMN", Kind.AWAY),
    (16, "NO_SUCH_COLUMN_IN_TABLE", Kind.AWAY),
    (47, "UNKNOWN_IDENTIFIER", Kind.AWAY),
    (48, "NOT_IMPLEMENTED", Kind.AWAY),  # a view stands where the table was
    (49, "LOGICAL_ERROR", Kind.AWAY),
    (60, "UNKNOWN_TABLE", Kind.AWAY),
    (74, "CANNOT_READ_FROM_FILE_DESCRIPTOR", Kind.AWAY),
    (75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", Kind.AWAY),
    (76, "CANNOT_OPEN_FILE", Kind.AWAY),
    (201, "QUOTA_EXCEEDED", Kind.AWAY),
    (202, "TOO_MANY_SIMULTANEOUS_QUERIES", Kind.AWAY),
    (203, "NO_FREE_CONNECTION", Kind.AWAY),
    (209, "SOCKET_TIMEOUT", Kind.AWAY),
    (210, "NETWORK_ERROR", Kind.AWAY),
    (218, "TABLE_IS_DROPPED", Kind.AWAY),
    (225, "NO_ZOOKEEPER", Kind.AWAY),
    (236, "ABORTED", Kind.AWAY),
    (242, "TABLE_IS_READ_ONLY", Kind.AWAY),
    (243, "NOT_ENOUGH_SPACE", Kind.AWAY),
    (252, "TOO_MANY_PARTS", Kind.AWAY),
    (279, "ALL_CONNECTION_TRIES_FAILED", Kind.AWAY),
    (285, "TOO_FEW_LIVE_REPLICAS", Kind.AWAY),
    (286, "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", Kind.AWAY),
    (319, "UNKNOWN_STATUS_OF_INSERT", Kind.AWAY),
    (394, "QUERY_WAS_CANCELLED", Kind.AWAY),
    (439, "CANNOT_SCHEDULE_TASK", Kind.AWAY),
    (473, "DEADLOCK_AVOIDED", Kind.AWAY),
    (497, "ACCESS_DENIED", Kind.AWAY),
    (499, "S3_ERROR", Kind.AWAY),
    (999, "KEEPER_EXCEPTION", Kind.AWAY),
    (1000, "POCO_EXCEPTION", Kind.AWAY),
    (1001, "STD_EXCEPTION", Kind.AWAY),
    (159, "TIMEOUT_EXCEEDED", Kind.SLOW),
    (160, "TOO_SLOW", Kind.SLOW),
    (158, "TOO_MANY_ROWS", Kind.SMALLER),
    (173, "CANNOT_ALLOCATE_MEMORY", Kind.SMALLER),
    (241, "MEMORY_LIMIT_EXCEEDED", Kind.SMALLER),
    (290, "LIMIT_EXCEEDED", Kind.SMALLER),
    (307, "TOO_MANY_BYTES", Kind.SMALLER),
    (396, "TOO_MANY_ROWS_OR_BYTES", Kind.SMALLER),
    (6, "CANNOT_PARSE_TEXT", Kind.POISON),
    (11, "POSITION_OUT_OF_BOUND", Kind.POISON),
    (12, "PARAMETER_OUT_OF_BOUND", Kind.POISON),
    (19, "SIZE_OF_FIXED_STRING_DOESNT_MATCH", Kind.POISON),
    (25, "CANNOT_PARSE_ESCAPE_SEQUENCE", Kind.POISON),
    (26, "CANNOT_PARSE_QUOTED_STRING", Kind.POISON),
    (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", Kind.POISON),
    (32, "ATTEMPT_TO_READ_AFTER_EOF", Kind.POISON),
    (33, "CANNOT_READ_ALL_DATA", Kind.POISON),
    (38, "CANNOT_PARSE_DATE", Kind.POISON),
    (41, "CANNOT_PARSE_DATETIME", Kind.POISON),
    (53, "TYPE_MISMATCH", Kind.POISON),
    (69, "ARGUMENT_OUT_OF_BOUND", Kind.POISON),
    (70, "CANNOT_CONVERT_TYPE", Kind.POISON),
    (72, "CANNOT_PARSE_NUMBER", Kind.POISON),
    (117, "INCORRECT_DATA", Kind.POISON),
    (128, "TOO_LARGE_ARRAY_SIZE", Kind.POISON),
    (130, "CANNOT_READ_ARRAY_FROM_TEXT", Kind.POISON),
    (131, "TOO_LARGE_STRING_SIZE", Kind.POISON),
    (135, "ZERO_ARRAY_OR_TUPLE_INDEX", Kind.POISON),
    (153, "ILLEGAL_DIVISION", Kind.POISON),
    (190, "SIZES_OF_ARRAYS_DONT_MATCH", Kind.POISON),
    (321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", Kind.POISON),
    (346, "CANNOT_CONVERT_CHARSET", Kind.POISON),
    (349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", Kind.POISON),
    (366, "SIZES_OF_NESTED_COLUMNS_ARE_INCONSISTENT", Kind.POISON),
    (376, "CANNOT_PARSE_UUID", Kind.POISON),
    (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", Kind.POISON),
    (407, "DECIMAL_OVERFLOW", Kind.POISON),
    (427, "CANNOT_COMPILE_REGEXP", Kind.POISON),
    (441, "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING", Kind.POISON),
    (447, "HYPERSCAN_CANNOT_SCAN_TEXT", Kind.POISON),
    (467, "CANNOT_PARSE_BOOL", Kind.POISON),
    (469, "VIOLATED_CONSTRAINT", Kind.POISON),
    (490, "CANNOT_FORMAT_DATETIME", Kind.POISON),
    (563, "CANNOT_READ_MAP_FROM_TEXT", Kind.POISON),
    (621, "CANNOT_NORMALIZE_STRING", Kind.POISON),
    (632, "UNEXPECTED_DATA_AFTER_PARSED_VALUE", Kind.POISON),
    (645, "NUMBER_OF_DIMENSIONS_MISMATCHED", Kind.POISON),
    (675, "CANNOT_PARSE_IPV4", Kind.POISON),
    (676, "CANNOT_PARSE_IPV6", Kind.POISON),
    (691, "UNKNOWN_ELEMENT_OF_ENUM", Kind.POISON),
    (760, "UNICODE_ERROR", Kind.POISON),
    (62, "SYNTAX_ERROR", Kind.STOP),
    (81, "UNKNOWN_DATABASE", Kind.STOP),
    (115, "UNKNOWN_SETTING", Kind.STOP),
    (164, "READONLY", Kind.STOP),
    (192, "UNKNOWN_USER", Kind.STOP),
    (193, "WRONG_PASSWORD", Kind.STOP),
    (194, "REQUIRED_PASSWORD", Kind.STOP),
    (195, "IP_ADDRESS_NOT_ALLOWED", Kind.STOP),
    (291, "DATABASE_ACCESS_DENIED", Kind.STOP),
    (452, "SETTING_CONSTRAINT_VIOLATION", Kind.STOP),
    (516, "AUTHENTICATION_FAILED", Kind.STOP),
)

SERVER_ERRORS: Mapping[int, ServerError] = {
    code: ServerError(code, name, kind) for code, name, kind in _TABLE
}
"""By code."""


def kind_of(code: int) -> Kind:
    """What an answer with this code means."""
    known = SERVER_ERRORS.get(code)
    return known.kind if known else Kind.AWAY
