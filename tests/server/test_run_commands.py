"""Commands about runs and agents act through the server, as pages do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from parallelm.connections import Settings
from parallelm.definitions.records import components_of
from parallelm.operations.components import publish_packed
from parallelm.operations.definitions import get_definition
from parallelm.operations.errors import InvalidFileError
from parallelm.schemas import topics
from parallelm.schemas.records import AgentState
from parallelm.server.access.matrix import DATA_SCIENTIST
from tests.server.browser.looking import assert_accessible
from tests.server.commands import Commands, actions
from tests.server.run_records import send
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page


API = "/api/v1"
APP = "hourly"
DEFINITION = f"""\
mlapp: {APP}
nodes:
  - {{id: train, type: model_producer, schedule: {{cron: "0 2 * * *"}}, steps: [{{command: python train.py}}]}}
"""


def applied(commands: Commands, client: httpx.Client, tmp_path: Path, mlapp_id: str) -> str:
    """Path of an MLApp that was defined by a command."""
    file = tmp_path / f"{mlapp_id}.yaml"
    file.write_text(DEFINITION.replace(APP, mlapp_id))
    commands("mlapps", "apply", str(file))
    path = f"{API}/mlapps/{mlapp_id}"
    wait_for(lambda: client.get(path).status_code == 200, "the MLApp is not known")
    return path


def an_agent(settings: Settings, client: httpx.Client, agent_id: str) -> None:
    """An agent that was not heard of for long."""
    at_ms = time.time_ns() // 1_000_000 - 3_600_000
    state = AgentState(
        event_time_ms=at_ms, agent_id=agent_id, hostname=agent_id, version="1.0", labels={}, pipelines=[],
        state="ready", epoch=1, installation_id=agent_id, cpus=1.0, memory_bytes=1 << 30, runners=["process"],
    )  # fmt: skip
    send(settings, (topics.AGENTS, state))
    wait_for(lambda: client.get(f"{API}/agents/{agent_id}").status_code == 200, "the agent is not known")


def test_an_mlapp_is_launched_run_paused_stopped_archived_and_deleted(
    commands: Commands, client: httpx.Client, tmp_path: Path
):
    path = applied(commands, client, tmp_path, APP)
    assert commands("mlapps", "launch", APP, "--comment", "it is time").startswith(f"{APP}: launched: ")
    assert ": refused: " in commands("mlapps", "launch", APP, exit_code=1)
    assert commands("mlapps", "pause", APP, "--node", "train").startswith("train: paused: ")
    assert commands("mlapps", "resume", APP, "--node", "train").startswith("train: resumed: ")
    said = commands("mlapps", "run", APP, "train")
    run_id = said.split()[2].rstrip(":")
    assert said.startswith(f"train run {run_id}: waiting: ")
    wait_for(lambda: client.get(f"{path}/runs/{run_id}").status_code == 200, "the run is not stored")
    assert commands("runs", "stop", run_id[:10]).startswith(f"train run {run_id}: stopped: ")
    assert "there is no run 'none'" in commands("runs", "stop", "none", exit_code=1)
    assert commands("mlapps", "pause", APP).startswith(f"{APP}: paused: ")
    assert commands("mlapps", "resume", APP).startswith(f"{APP}: resumed: ")
    assert "stop it first" in commands("mlapps", "delete", APP, "--yes", exit_code=1)
    assert commands("mlapps", "stop", APP).startswith(f"{APP}: stopped: ")
    assert commands("mlapps", "archive", APP).startswith(f"{APP}: archived: ")
    assert commands("mlapps", "delete", APP, "--yes", "--comment", "done").startswith(f"{APP}: deleted: ")
    wait_for(lambda: client.get(path).status_code == 404, "the definition stays")
    assert f"there is no MLApp {APP!r}" in commands("mlapps", "launch", APP, exit_code=1)
    assert "leave --who out" in commands("mlapps", "launch", APP, "--who", "bob", exit_code=1)
    wait_for(lambda: actions(client, action="delete", mlapp_id=APP, comment="done"), "the log does not tell")
    told = actions(client, mlapp_id=APP)
    assert {each["action"] for each in told} == {
        "apply_definition", "launch", "pause", "resume", "run_node", "stop_run", "stop", "archive", "delete"
    }  # fmt: skip
    assert {(each["who"], each["authenticated_by"]) for each in told} == {("ada", "token")}


def test_a_definition_is_deleted_from_its_page(
    page: Page, commands: Commands, client: httpx.Client, tmp_path: Path
):
    path = applied(commands, client, tmp_path, "old-app")
    assert client.delete(path).status_code == 422, "nothing goes that was not named once more"
    assert client.delete(path, params={"confirm": "other"}).json()["type"].endswith(":not-confirmed")
    page.goto("/mlapps/old-app/definition")
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete the definition of old-app")
    dialog.get_by_label("Comment").fill("replaced")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("old-app is not defined")).to_be_visible()
    assert client.get(path).status_code == 404
    (done,) = actions(client, action="delete", mlapp_id="old-app")
    assert (done["who"], done["comment"], done["authenticated_by"]) == ("ada", "replaced", "server_account")


def test_components_go_with_their_definition(
    commands: Commands, client: httpx.Client, platform: Settings, tmp_path: Path
):
    step = "{id: train, type: model_producer, steps: [{component: trainer}]}"
    file, folder = tmp_path / "packed.yaml", tmp_path / "components" / "trainer"
    file.write_text(f"mlapp: packed\nnodes: [{step}]\n")
    assert "there is no component 'trainer'" in commands("mlapps", "apply", str(file), exit_code=1)
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text("name: trainer\nprogram: train.py\n")
    (folder / "train.py").write_text("print(1)\n")
    assert commands("mlapps", "apply", str(file)) == "MLApp 'packed' is now at version 1\n"
    assert commands("mlapps", "apply", str(file)) == "MLApp 'packed' is unchanged at version 1\n"
    first = components_of(get_definition(platform, "packed"))["trainer"]
    (folder / "train.py").write_text("print(2)\n")
    assert commands("mlapps", "diff", str(file), exit_code=1) == "component 'trainer': its files differ\n"
    assert commands("mlapps", "apply", str(file)) == "MLApp 'packed' is now at version 2\n"
    assert commands("mlapps", "diff", str(file)) == f"MLApp 'packed': applying {file} changes nothing\n"
    second = components_of(get_definition(platform, "packed"))["trainer"]
    assert first.sha256 != second.sha256
    assert second.size_bytes > 0
    path, yaml = f"{API}/mlapps/packed", {"Content-Type": "application/yaml"}
    back = {"component": f"trainer={first.sha256}"}
    applied_again = client.put(f"{path}/definition", params=back, content=file.read_bytes(), headers=yaml)
    assert applied_again.json()["version"] == 3, "the component of before is in the store still"
    gone = {"component": f"trainer={'0' * 64}"}
    unknown = client.put(f"{path}/definition", params=gone, content=file.read_bytes(), headers=yaml)
    assert (unknown.status_code, "send it first" in unknown.json()["detail"]) == (422, True)
    for sent in (b"no tar", b"", b"\0" * 10240):
        refused = client.post(f"{path}/components/trainer", files={"file": ("a", sent)})
        assert refused.status_code == 422, refused.text


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "a/b", "/a"])
def test_a_component_is_unpacked_nowhere_but_in_a_folder_of_its_own(name: str, tmp_path: Path):
    with pytest.raises(InvalidFileError, match="is no name of a component"):
        publish_packed(Settings(), name, tmp_path / "none.tar")


def test_an_agent_is_drained_resumed_and_removed(
    commands: Commands, client: httpx.Client, platform: Settings
):
    an_agent(platform, client, "old-host")
    later = "; it was not heard of for a while: this holds once it is back\n"
    why = ("--comment", "new kernel")
    assert commands("agents", "drain", "old-host", *why) == f"agent old-host takes no more runs{later}"
    assert commands("agents", "resume", "old-host", *why) == f"agent old-host takes runs again{later}"
    assert commands("agents", "remove", "old-host", *why) == f"agent old-host stops its runs and ends{later}"
    assert "no agent 'none' has registered" in commands("agents", "drain", "none", *why, exit_code=1)
    wait_for(lambda: len(actions(client, target="old-host")) == 3, "the audit log does not tell")
    told = actions(client, target="old-host")
    assert {each["action"] for each in told} == {"drain_agent", "resume_agent", "remove_agent"}
    assert {(each["who"], each["authenticated_by"], each["comment"]) for each in told} == {
        ("ada", "token", "new kernel")
    }


def test_an_agent_is_drained_from_its_page_by_who_may(
    page: Page, client: httpx.Client, client_as: Callable[[str], httpx.Client], platform: Settings
):
    an_agent(platform, client, "page-host")
    page.goto("/hosts/page-host")
    page.get_by_role("button", name="Drain").click()
    dialog = page.get_by_role("dialog", name="Drain page-host")
    assert_accessible(page)
    dialog.get_by_label("Comment").fill("moves house")
    dialog.get_by_role("button", name="Drain").click()
    expect(page.get_by_text("agent page-host takes no more runs")).to_be_visible()
    wait_for(lambda: actions(client, action="drain_agent", target="page-host"), "the log does not tell")
    looks = client_as(DATA_SCIENTIST).get("/hosts/page-host", headers={"Accept": "text/html"}).text
    assert "Drain" not in looks
