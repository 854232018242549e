"""The matrix of actions and roles, as data: what the server enforces, docs show and tests try cell by cell."""

from __future__ import annotations

from typing import Final

VIEWER: Final = "viewer"
DATA_SCIENTIST: Final = "data_scientist"
APPROVER: Final = "approver"
OPERATOR: Final = "operator"
ADMIN: Final = "admin"
ROLES: Final = (VIEWER, DATA_SCIENTIST, APPROVER, OPERATOR, ADMIN)

_ALL: Final = frozenset(ROLES)
_SCIENCE: Final = frozenset({DATA_SCIENTIST, OPERATOR, ADMIN})
_DECIDE: Final = frozenset({APPROVER, ADMIN})
_OPERATE: Final = frozenset({OPERATOR, ADMIN})

ROLES_OF: Final[dict[str, frozenset[str]]] = {
    "mlapps.read": _ALL,
    "mlapps.write": _SCIENCE,
    "alerts.answer": _SCIENCE | _DECIDE,
    "alerts.silence": _SCIENCE,
    "models.upload": _SCIENCE,
    "models.review": _DECIDE,
    "models.delete": _OPERATE,
    "models.download": _SCIENCE | _DECIDE,
    "kpis.write": _SCIENCE,
    "reports.write": _SCIENCE,
    "captures.write": _SCIENCE,
    "operations.read": _OPERATE,
    "operations.write": _OPERATE,
    "audit.read": _DECIDE | _OPERATE,
    "users.manage": frozenset({ADMIN}),
}
"""Roles that may do each action. Reading needs one role of any kind."""
