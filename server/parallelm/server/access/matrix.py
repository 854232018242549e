"""The matrix of actions and roles, as data: what the server enforces, docs show and tests try cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a page or a call does, and who may."""

    what: str
    roles: frozenset[str]
    is_on_mlapp: bool = True
    """False: it belongs to no single MLApp, so only a role on all of them counts."""


ACTIONS: Final[dict[str, Action]] = {
    "mlapps.read": Action(
        "look at an MLApp: all its pages, statistics, KPIs, alerts, models, deployments, captures and reports",
        _ALL,
    ),
    "mlapps.write": Action("apply and remove its definition, alert rules and model policy", _SCIENCE),
    "mlapps.run": Action("launch, pause, stop and archive it, run a node now, and stop a run", _SCIENCE),
    "alerts.answer": Action("acknowledge and close its alerts", _SCIENCE | _DECIDE),
    "alerts.silence": Action("silence its alerts, and end silences", _SCIENCE),
    "models.upload": Action("upload a model", _SCIENCE),
    "models.download": Action("download a model's file", _SCIENCE | _DECIDE),
    "models.review": Action("approve, reject, deploy, roll back, pin and unpin its models", _DECIDE),
    "models.delete": Action("delete a model's file", _OPERATE),
    "kpis.write": Action("upload and withdraw KPIs and outcomes", _SCIENCE),
    "reports.write": Action(
        "report statistics and events over HTTP; with `kpis.write` also KPIs, with `models.upload` also models",
        _SCIENCE,
    ),
    "captures.write": Action("take, import and delete captures of it", _SCIENCE),
    "agents.write": Action("drain, resume and remove agents", _OPERATE, is_on_mlapp=False),
    "operations.read": Action("see lag, dead letters, processes and retention", _OPERATE, is_on_mlapp=False),
    "operations.write": Action(
        "replay and drop dead letters, send test notifications", _OPERATE, is_on_mlapp=False
    ),
    "erase": Action("erase an MLApp, or what has a label, for good", frozenset({ADMIN}), is_on_mlapp=False),
    "audit.read": Action("read the audit log", _DECIDE | _OPERATE),
    "sql.read": Action(
        "ask in SQL, which shows all rows of the installation: of every MLApp, the audit log, dead letters",
        _OPERATE,
        is_on_mlapp=False,
    ),
    "users.manage": Action(
        "manage accounts, groups, roles and tokens of services", frozenset({ADMIN}), is_on_mlapp=False
    ),
}
"""Everybody who has an account may, besides, see and change what is their own: password, sessions and tokens."""

ROLES_OF: Final[dict[str, frozenset[str]]] = {name: action.roles for name, action in ACTIONS.items()}
"""Roles that may do each action."""


READING_SQL: Final = "Reading through SQL is per installation unless a role has a row policy"
"""Of users of ClickHouse, whom this matrix does not bind."""


def as_table() -> str:
    """The matrix for people, in Markdown."""
    titles = " | ".join(role.replace("_", " ") for role in ROLES)
    lines = [f"| Action | | {titles} |", "|---|---|" + "---|" * len(ROLES)]
    for name, action in ACTIONS.items():
        cells = " | ".join("yes" if role in action.roles else "" for role in ROLES)
        where = "" if action.is_on_mlapp else " *"
        lines.append(f"| `{name}` | {action.what}{where} | {cells} |")
    return "\n".join(lines) + "\n"
