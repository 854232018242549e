"""The matrix of roles and actions, tried cell by cell on every route of the server over HTTP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access.dependencies import Requirement, require_session
from parallelm.server.access.matrix import ACTIONS, ADMIN, READING_SQL, ROLES, as_table
from parallelm.server.access.principal import Principal
from parallelm.server.app import create_app
from parallelm.server.run import make_context
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from fastapi.dependencies.models import Dependant

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database

PAGE = Path(__file__).parents[2] / "docs" / "server-security.md"
UNKNOWN_ID = "0123456789abcdef"
WITHOUT_ACTION = {
    # Before somebody has signed in.
    "GET /api/v1/health", "GET /sign-in", "POST /sign-in", "POST /sign-out", "GET /choose-password", "POST /choose-password",
    "GET /oidc/start", "GET /oidc/callback", "POST /api/v1/tokens",
    # Who asks.
    "GET /api/v1/me",
}  # fmt: skip
"""Routes that need no role, beside those for what is one's own (``AskingInPerson``)."""
ASKED_INSIDE = {
    # Lists: each item is shown to those who may read its MLApp.
    "GET /api/v1/mlapps", "GET /api/v1/alerts", "GET /api/v1/models", "GET /api/v1/deployments", "GET /api/v1/events",
    "GET /api/v1/silences", "GET /api/v1/live-models", "GET /live", "GET /alerts/{alert_id}",
    "GET /models/{model_id}", "GET /api/v1/actions", "GET /api/v1/alert-ids", "GET /api/v1/capture-ids", "GET /api/v1/run-ids",
    "GET /api/v1/runs", "GET /api/v1/schedule", "GET /api/v1/agents",
    "GET /api/v1/agents/{agent_id}", "GET /api/v1/tasks/{task_id}", "GET /tasks/{task_id}",
    # What it is about stands in the body or in what an id names.
    "POST /api/v1/silences", "POST /api/v1/silences/{silence_id}/end",
}  # fmt: skip
"""Routes whose handlers ask for an action themselves; tests of their own hold them to it."""
ASKED_BY_HANDLERS = {"reports.write"}
"""Actions that no route names: the MLApp is known from a pipeline's id only."""
PIPELINE = "churn.predict"
READ, NO_REPORT = ("mlapps.read",), {"content": b"{}"}
OF_THE_ORIGINAL: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "POST /auth/login": ((), {"json": {}}),
    "GET /uuid": ((), {}),
    "GET /workflows/instances/{mlapp_id}": (READ, {}),
    "GET /health/thresholds": (READ, {"params": {"ionInstanceId": "churn"}}),
    "GET /agents": ((), {}),
    "GET /executionEnvironments": ((), {}),
    "GET /groups": ((), {}),
    "POST /stats/{instance_id}": (("reports.write",), NO_REPORT),
    "POST /events/{instance_id}": (("reports.write",), {"content": b'{"data": "no base64"}'}),
    "POST /models/{instance_id}": (
        ("reports.write", "models.upload"), {"params": {"format": "none such"}, "files": {"file": b"1"}}
    ),
    "GET /v1/models": ((), {}),
    "GET /v1/models/{model_id}/download": (("models.download",), {}),
    "GET /v1/models/{model_id}/metrics": (READ, {}),
    "POST /models/{model_id}/review": (("models.review",), {"json": {"action": "none such", "mlAppInstanceId": "churn"}}),
    "GET /models/{model_id}/status": (READ, {}),
    "GET /models/{model_id}/source": (READ, {}),
    "GET /models/{model_id}/usage": (READ, {}),
    "GET /stats": (READ, {"params": {"statName": "x", "mlAppId": "churn"}}),
    "GET /events": (READ, {"params": {"ionInstanceId": "churn"}}),
    "GET /timelineCaptures": ((), {}),
    "GET /timelineCaptures/{capture_id}": (READ, {}),
    "POST /timelineCaptures/{capture_id}/prepare": (READ, {}),
    "GET /timelineCaptures/{capture_id}/prepareStatus": (READ, {}),
    "GET /timelineCaptures/{capture_id}/download": (READ, {}),
}  # fmt: skip
"""The original's calls: the actions that each needs, and a request that does no harm to whoever may. Lists show what is theirs."""


@pytest.fixture(scope="module")
def routes(server_settings: Settings, server_database: Database) -> list[RouteContext]:
    """All routes of the application."""
    app = create_app(make_context(server_settings, server_database))
    found = [route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute)]
    assert len(found) > len(WITHOUT_ACTION)
    return found


def named(route: RouteContext) -> str:
    return f"{next(iter(route.methods))} {route.path}"


def requirements(dependant: Dependant) -> Iterator[Requirement]:
    """What a route asks for, in its own dependencies or in theirs."""
    for each in dependant.dependencies:
        if isinstance(each.call, Requirement):
            yield each.call
        yield from requirements(each)


def is_own(dependant: Dependant) -> bool:
    """Whether a route is for what is one's own, in person."""
    return any(each.call is require_session or is_own(each) for each in dependant.dependencies)


def is_of_the_original(route: RouteContext) -> bool:
    """Whether it is one of the original's calls, whose handlers ask for an action once they know the MLApp of a pipeline."""
    return route.endpoint is not None and ".compatibility." in route.endpoint.__module__


def answer(client: httpx.Client, route: RouteContext) -> int:
    """Status of a request for things that do not exist: whoever may do it does no harm."""
    path = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: known_or_not(found[1]), route.path)
    return client.request(next(iter(route.methods)), path, headers={"Accept": "application/json"}).status_code


def known_or_not(parameter: str) -> str:
    return (
        "churn" if parameter == "mlapp_id" else ("1" if parameter in {"version", "token_id"} else UNKNOWN_ID)
    )


def test_every_route_asks_for_an_action_or_is_known_to_need_none(routes: list[RouteContext]):
    silent = {
        named(route)
        for route in routes
        if not list(requirements(route.dependant))
        and not is_own(route.dependant)
        and not is_of_the_original(route)
    }
    assert silent - WITHOUT_ACTION - ASKED_INSIDE == set(), (
        "name the action: dependencies=[Depends(require(…))]"
    )


def test_every_action_is_asked_for_somewhere(routes: list[RouteContext]):
    asked = {each.action for route in routes for each in requirements(route.dependant)}
    assert asked | ASKED_BY_HANDLERS == set(ACTIONS)
    assert not asked & ASKED_BY_HANDLERS
    assert {action for actions, _ in OF_THE_ORIGINAL.values() for action in actions} >= ASKED_BY_HANDLERS


@pytest.fixture(scope="module")
def ids(client_as: Callable[[str], httpx.Client]) -> dict[str, str]:
    """What the paths of the original's calls name: all of MLApp ``churn``."""
    api, admin = "/api/v1/mlapps/churn", client_as(ADMIN)
    model = admin.get("/api/v1/models", params={"mlapp_id": "churn"}).json()["items"][0]["model_id"]
    made = admin.post(f"{api}/captures", json={"from": "2026-05-01", "to": "2026-05-02"}).json()["capture_id"]
    wait_for(lambda: admin.get(f"{api}/captures/{made}").json()["state"] == "complete", "it is not taken")
    return {"mlapp_id": "churn", "instance_id": PIPELINE, "model_id": model, "capture_id": made}


def test_the_table_has_all_calls_of_the_original(routes: list[RouteContext]):
    found = {named(route) for route in routes if is_of_the_original(route)}
    assert found == {
        name.replace(" /", f" {prefix}/", 1) for name in OF_THE_ORIGINAL for prefix in ("", "/mlops")
    }


@pytest.mark.parametrize("mlapp_id", ["*", "churn", "another"])
@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_of_the_originals_calls_what_the_matrix_says(
    role: str,
    mlapp_id: str,
    ids: dict[str, str],
    client_as: Callable[[str], httpx.Client],
    client_with: Callable[[str, str], httpx.Client],
):
    # No second administrator of everything: other tests need the one that there is.
    client = client_as(role) if mlapp_id == "*" else client_with(role, mlapp_id)
    wrong = []
    for name, (actions, sent) in OF_THE_ORIGINAL.items():
        method, path = name.split()
        answer = client.request(method, path.format(**ids), **sent)
        is_open = answer.status_code not in {403, 404}
        may = all(mlapp_id != "another" and role in ACTIONS[action].roles for action in actions)
        if is_open != may or answer.status_code in {401, 500}:
            wrong.append((name, answer.status_code))
    assert not wrong


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_what_the_matrix_says_and_nothing_else(
    role: str, routes: list[RouteContext], client_as: Callable[[str], httpx.Client]
):
    wrong = []
    for route in routes:
        needed = {each.action for each in requirements(route.dependant)}
        if not needed:
            continue
        may = all(role in ACTIONS[action].roles for action in needed)
        status = answer(client_as(role), route)
        if may == (status == 403) or status in {401, 500}:
            wrong.append((named(route), sorted(needed), status))
    assert not wrong, f"{role}: {wrong}"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_on_another_mlapp_opens_nothing_of_this_one(
    role: str, routes: list[RouteContext], client_with: Callable[[str, str], httpx.Client]
):
    client = client_with(role, "another")
    of_mlapp = [route for route in routes if "{mlapp_id}" in route.path and named(route) not in ASKED_INSIDE]
    open_ = [named(route) for route in of_mlapp if answer(client, route) not in {403, 404}]
    assert not open_, open_


@pytest.mark.parametrize("role", ROLES)
def test_what_belongs_to_no_mlapp_needs_a_role_on_all(
    role: str, routes: list[RouteContext], client_with: Callable[[str, str], httpx.Client]
):
    client = client_with(role, "churn")
    of_all = [
        route
        for route in routes
        if any(
            not ACTIONS[each.action].is_on_mlapp and not each.anywhere
            for each in requirements(route.dependant)
        )
    ]
    assert of_all
    open_ = [named(route) for route in of_all if answer(client, route) != 403]
    assert not open_, open_


def test_who_may_ask_in_sql_may_read_all_that_it_shows():
    sql = ACTIONS["sql.read"]
    assert not sql.is_on_mlapp
    for action in ("mlapps.read", "audit.read", "operations.read"):
        assert sql.roles <= ACTIONS[action].roles, action


@pytest.mark.parametrize("action", ACTIONS)
def test_an_administrator_of_one_mlapp_may_what_belongs_to_it_and_is_offered_nothing_else(action: str):
    asking = Principal("grace", SERVER_ACCOUNT, {"churn": frozenset({ADMIN})})
    is_theirs = ACTIONS[action].is_on_mlapp
    assert asking.mlapps(action) == (frozenset({"churn"}) if is_theirs else frozenset())
    assert (asking.may(action, "churn"), asking.may(action, "other"), asking.may(action)) == (
        is_theirs,
        False,
        False,
    )


def test_without_signing_in_nothing_is_open(routes: list[RouteContext], anonymous: httpx.Client):
    open_ = [
        named(route)
        for route in routes
        if not route.path.endswith("/auth/login")
        and named(route) not in WITHOUT_ACTION - {"GET /api/v1/me"}
        and answer(anonymous, route) != 401
    ]
    assert not open_, open_


def test_the_documentation_shows_the_matrix():
    page = PAGE.read_text(encoding="utf-8")
    assert as_table() in page
    assert READING_SQL in page
