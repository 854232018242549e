"""Commands whose settings name a server and nothing else act through its API."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import httpx

from parallelm.connections import save_settings
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.topics import STATISTICS
from parallelm.schemas.well_known import UNVERIFIED_LOCAL_USER
from tests.server.accounts import PASSWORD
from tests.server.commands import Commands, actions
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings

APP = "commands-app"
KPI_APP = "shops"
DEFINITION = f"""\
mlapp: {APP}
nodes:
  - {{id: train, type: model_producer}}
  - {{id: serve, type: model_consumer, parents: [train], consumes: [train]}}
policy: {{model_policy: manual}}
alerts: []
"""


def test_a_definition_a_model_and_decisions(commands: Commands, client: httpx.Client, tmp_path: Path):
    file, model = tmp_path / "app.yaml", tmp_path / "model.json"
    file.write_text(DEFINITION)
    model.write_text('{"bias": 1}')
    assert commands("mlapps", "apply", str(file)) == f"MLApp '{APP}' is now at version 1\n"
    assert commands("mlapps", "apply", str(file)) == f"MLApp '{APP}' is unchanged at version 1\n"
    path = f"/api/v1/mlapps/{APP}"
    wait_for(lambda: client.get(path).status_code == 200, "the MLApp is not known")

    upload = ("models", "upload", str(model), "--mlapp", APP, "--format", "Json", "--node", "train")
    said = commands(*upload, "--annotation", "team=retention")
    model_id = said.split()[1]
    assert f"is uploaded: {model.stat().st_size} bytes, sha256 " in said
    wait_for(lambda: client.get(f"{path}/models/{model_id}").status_code == 200, "the model does not arrive")
    why = ("--mlapp", APP, "--comment", "seen with the team")
    assert commands("models", "approve", model_id[:8], *why).startswith(f"serve: {model_id} requested: ")
    assert "no model is pending" in (refused := commands("models", "reject", *why, exit_code=1)), refused
    in_use = commands("models", "delete", model_id[:8], *why, exit_code=1)
    assert in_use.startswith("Error: "), in_use
    assert "(request " in in_use

    wait_for(lambda: actions(client, action="approve", mlapp_id=APP), "the audit log does not tell")
    told = {each["action"]: each for each in actions(client, mlapp_id=APP)}
    assert {"apply_definition", "upload_model", "approve", "reject", "delete_model"} <= set(told)
    assert {(each["who"], each["authenticated_by"]) for each in told.values()} == {("ada", "token")}
    assert told["approve"]["comment"] == "seen with the team"
    assert told["apply_definition"]["parameters"] == {"version": "1"}


def test_an_alert_by_the_beginning_of_its_id_and_silences(commands: Commands, client: httpx.Client):
    found = client.get("/api/v1/alerts", params={"rule": "other customers"}).json()["items"]
    alert_id = next(each["alert_id"] for each in found if each["state"] in {"firing", "acknowledged"})
    said = commands("alerts", "close", alert_id[:-2], "--comment", "known")
    assert said.startswith(f"alert {alert_id} (other customers) is resolved: ")
    wait_for(
        lambda: client.get(f"/api/v1/mlapps/churn/alerts/{alert_id}").json()["resolved_at"], "it stays open"
    )
    again = commands("alerts", "close", alert_id, "--comment", "known", exit_code=1)
    assert f"alert {alert_id} is not open any more: it is resolved" in again
    assert "there is no alert 'nothing'; the latest are:\n" in commands(
        "alerts", "ack", "nothing", "--comment", "x", exit_code=1
    )

    said = commands("alerts", "silence", "mlapp=churn", "--for", "2h", "--comment", "moving")
    silence_id = said.split()[1]
    assert said.endswith("(2h)\n")
    assert commands("alerts", "unsilence", silence_id, "--comment", "done") == (
        f"silence {silence_id} has ended\n"
    )
    assert "there is no silence 'none' (request " in commands(
        "alerts", "unsilence", "none", "--comment", "done", exit_code=1
    )


def test_rules_are_tried_on_what_the_server_knows(commands: Commands, platform: Settings, tmp_path: Path):
    file = tmp_path / "rules.yaml"
    rule = "{name: slow, type: threshold, statistic: latency, above: 0.5, for: 0s}"
    file.write_text(f"mlapp: another\nnodes: [{{id: predict, type: model_consumer}}]\nalerts: [{rule}]\n")
    test = ("rules", "test", str(file), "--mlapp", "churn", "--from", "2026-05-01")
    said = commands(*test)
    itself = Commands(tmp_path / "itself")
    itself.folder.mkdir()
    save_settings(platform, itself.folder / "mcenter.toml")
    assert said == itself(*test)
    assert "slow" in said
    assert commands(*test, "--json") == itself(*test, "--json")
    assert "no rule 'none'" in commands(*test, "--rule", "none", exit_code=1)


def test_kpis_by_the_words_of_their_file_and_taken_back(
    commands: Commands, client: httpx.Client, tmp_path: Path
):
    file = tmp_path / "sales.csv"
    file.write_text(
        "Tag;Umsatz;Land;Notiz\n01.06.2026;1.000,5;DE;x\n02.06.2026;2.000;DE;\n03.06.2026;oops;AT;\n"
    )
    upload = (
        "kpi",
        "upload",
        str(file),
        "--mlapp",
        KPI_APP,
        "--kpi",
        "sales",
        "--ignore",
        "Notiz",
        "--date-format",
        "%d.%m.%Y",
    )
    words = (
        "--column",
        "timestamp=Tag",
        "--column",
        "value=Umsatz",
        "--decimal",
        ",",
        "--timezone",
        "Europe/Berlin",
    )
    said = commands(*upload, *words, exit_code=1)
    assert "sales.csv: line 4, column value" in said
    assert "1 bad line: nothing was uploaded" in said
    said = commands(*upload, *words, "--skip-bad")
    assert said.splitlines()[-2:] == [
        "uploaded 2 points of 1 KPI to MLApp shops; 1 bad line left out",
        "  sales: 2 points from 2026-05-31 22:00:00 to 2026-06-01 22:00:00 UTC",
    ]

    def points() -> list[dict[str, Any]]:
        return list(client.get("/api/v1/mlapps/shops/kpi-points", params={"name": "sales"}).json()["items"])

    wait_for(lambda: len(points()) == 2, "the points do not arrive")
    assert [(each["value"], each["labels"], each["source"]) for each in points()] == [
        (1000.5, {"Land": "DE"}, "sales.csv"),
        (2000.0, {"Land": "DE"}, "sales.csv"),
    ]
    assert "2 points known with this value and not sent" in commands(*upload, *words, "--skip-bad")

    withdraw = ("kpis", "withdraw", "sales", "--to", "2026-06-01", "--comment", "wrong", "--yes")
    assert "name it with --mlapp" in commands(*withdraw, exit_code=1)
    said = commands(*withdraw, "--mlapp", KPI_APP)
    assert "2026-05-31 22:00:00" in said
    assert said.endswith("withdrew 1 point of 'sales'\n")
    wait_for(lambda: len(points()) == 1, "the point stays")
    assert "has no such points" in commands(*withdraw, "--mlapp", KPI_APP, exit_code=1)
    wait_for(lambda: actions(client, action="withdraw_kpis", mlapp_id=KPI_APP), "the audit log does not tell")
    told = {each["action"]: each for each in actions(client, mlapp_id=KPI_APP, target="sales")}
    assert told["upload_kpis"]["parameters"]["source"] == "sales.csv"
    assert told["upload_kpis"]["parameters"]["points"] == "2"
    assert (told["withdraw_kpis"]["who"], told["withdraw_kpis"]["comment"]) == ("ada", "wrong")


def test_outcomes_of_what_was_predicted(commands: Commands, client: httpx.Client, tmp_path: Path):
    file = tmp_path / "left.csv"
    file.write_text(
        "customer,timestamp,value\nc1,2026-06-01,left\nc2,2026-06-01,stays\nc1,2026-06-02,stays\n"
    )
    upload = (
        "actuals",
        "upload",
        str(file),
        "--mlapp",
        KPI_APP,
        "--outcome",
        "leaves",
        "--column",
        "id=customer",
    )
    assert commands(*upload, "--positive", "left").splitlines()[-1] == (
        "uploaded 2 outcomes of 'leaves' to MLApp shops; 1 line repeats an id of the file, of which the last one counts; of "
        "2 ids there is no prediction yet"
    )
    assert "has no value 'gone'" in commands(*upload, "--positive", "gone", exit_code=2)
    wait_for(
        lambda: actions(client, action="upload_actuals", mlapp_id=KPI_APP), "the audit log does not tell"
    )
    (done,) = actions(client, action="upload_actuals", mlapp_id=KPI_APP)
    assert (done["who"], done["target"], done["parameters"]["outcomes"]) == ("ada", "leaves", "2")


def test_dead_letters_are_sent_again_and_dropped(
    commands: Commands, client: httpx.Client, platform: Settings
):
    topic = STATISTICS.full_name(platform.kafka.topic_prefix)
    TopicWriter(platform).write([OutgoingRecord(topic, b"broken", b"not Avro")])

    def still_open() -> set[str]:
        found = client.get("/api/v1/dead-letters", params={"topic": topic}).json()["items"]
        return {each["letter_id"] for each in found}

    # The sink and the processors give up on it, each for itself.
    wait_for(lambda: len(still_open()) == 2, "the dead letters do not arrive")
    one = min(still_open())
    assert "sent 1 record again" in commands("dead-letters", "replay", "--id", one, "--yes")
    wait_for(lambda: len(still_open() - {one}) == 2, "it does not fail again")
    drop = ("dead-letters", "drop", "--topic", "statistics", "--comment", "a test", "--yes")
    assert commands(*drop, "--limit", "1") == "dropped 1 record\n"
    wait_for(lambda: len(still_open()) == 1, "it stays open")
    assert commands(*drop) == "dropped 1 record\n"
    wait_for(lambda: not still_open(), "it stays open")
    assert commands(*drop) == "there is nothing to drop\n"
    assert "unknown topic 'speed'" in commands(
        "dead-letters", "replay", "--topic", "speed", "--yes", exit_code=1
    )
    wait_for(lambda: actions(client, action="drop_dead_letter"), "the audit log does not tell")
    assert {each["who"] for each in actions(client, action="drop_dead_letter")} == {"ada"}


def test_a_capture_from_its_making_to_its_end(commands: Commands, client: httpx.Client):
    create = ("captures", "create", "churn", "--from", "2026-05-01", "--to", "2026-05-03", "--name", "may")
    said = commands(*create)
    capture_id = said.split()[1].rstrip(":")
    assert " rows, " in said
    shown = client.get(f"/api/v1/mlapps/churn/captures/{capture_id}").json()
    assert (shown["state"], shown["created_by"]) == ("complete", "ada")
    assert (
        commands("captures", "delete", capture_id[:-3]) == f"deleted capture {capture_id} of MLApp 'churn'\n"
    )
    assert "no captures have an id that begins with" in commands(
        "captures", "delete", capture_id, exit_code=1
    )
    assert "nothing of an MLApp 'none' is stored" in commands(
        "captures", "create", "none", "--from", "2026-05-01", "--to", "2026-05-03", exit_code=1
    )
    assert "whenever a capture is taken" in commands("captures", "delete", "--expired", exit_code=1)
    wait_for(lambda: len(actions(client, target=capture_id)) == 2, "the audit log does not tell")
    assert {each["action"] for each in actions(client, target=capture_id)} == {
        "take_capture",
        "delete_capture",
    }


def test_accounts_roles_and_groups(commands: Commands, client: httpx.Client):
    name, team = f"n-{uuid.uuid4().hex[:8]}", f"g-{uuid.uuid4().hex[:8]}"
    said = commands("users", "add", name, "--full-name", "Grace", "--role", "viewer")
    assert said.startswith(f"{name} has an account; `mcenter users link {name}`")
    *_, url = commands("users", "link", name, input_=PASSWORD).splitlines()
    assert httpx.get(url).status_code == 200
    assert (
        commands("users", "grant", name, "approver", "--mlapp", "churn") == f"{name} is approver on churn\n"
    )
    assert commands("groups", "add", team, "--role", "operator") == f"there is a group {team}\n"
    assert commands("groups", "join", team, name) == f"{name} is in {team}\n"
    shown = commands("users", "show", name)
    assert "viewer, approver on churn" in shown
    assert team in shown
    commands("users", "revoke", name, "viewer")
    assert f"{name} has no role viewer on * of its own; it has: approver on churn" in commands(
        "users", "revoke", name, "viewer", exit_code=1
    )
    for done in (("disable",), ("enable",), ("unlock",), ("sign-out",), ("rename", "Grace H.")):
        commands("users", done[0], name, *done[1:])
    (row,) = [
        each for each in json.loads(commands("users", "list", "--format", "json")) if each["name"] == name
    ]
    assert (row["roles"], row["groups"], row["state"], row["full_name"]) == (
        "approver on churn", team, "", "Grace H.",
    )  # fmt: skip
    assert name in commands("groups", "list")
    assert commands("groups", "leave", team, name) == f"{name} is in {team} no more\n"
    assert f"{name} is no member of {team}" in commands("groups", "leave", team, name, exit_code=1)
    commands("groups", "grant", team, "viewer", "--mlapp", "churn")
    commands("groups", "revoke", team, "operator")
    assert client.get(f"/api/v1/groups/{team}").json()["roles"] == [{"role": "viewer", "mlapp_id": "churn"}]
    commands("groups", "delete", team)
    assert client.get(f"/api/v1/groups/{team}").status_code == 404
    assert "there is no account" in commands("users", "show", "nobody", exit_code=1)


def test_tokens_of_a_service_and_ones_own(commands: Commands, client: httpx.Client, server_url: str):
    name = f"n-{uuid.uuid4().hex[:8]}"
    assert f"--account {name}` makes a token" in commands("users", "add", name, "--service")
    create = ("tokens", "create", "nightly", "--scope", "mlapps.read", "--days", "7")
    *_, secret = commands(*create, "--account", name, input_=PASSWORD).splitlines()
    with httpx.Client(headers={"Authorization": f"Bearer {secret}"}) as program:
        assert program.get(f"{server_url}/api/v1/me").json()["scopes"] == ["mlapps.read"]
    (token,) = json.loads(commands("tokens", "list", "--account", name, "--format", "json"))
    assert (token["name"], token["scopes"], token["is_valid"]) == ("nightly", "mlapps.read", True)
    assert secret not in str(token)
    commands("tokens", "revoke", str(token["token_id"]), "--account", name)
    assert client.get(f"/api/v1/users/{name}/tokens").json()[0]["is_valid"] is False
    refused = commands(*create, "--account", "ada", input_=PASSWORD, exit_code=1)
    assert "is a person, who makes tokens of their own" in refused
    assert "the password is not right" in commands(*create, input_="another password", exit_code=1)

    before = len(client.get("/api/v1/me/sessions").json())
    *_, own = commands(*create, input_=PASSWORD).splitlines()
    assert own.startswith("mcs_")
    (made,) = [
        each
        for each in json.loads(
            commands("tokens", "list", "--format", "json", input_=PASSWORD).partition("\n")[2]
        )
        if own.startswith(each["hint"])
    ]
    assert commands("tokens", "revoke", str(made["token_id"]), input_=PASSWORD).endswith(" is revoked\n")
    assert len(client.get("/api/v1/me/sessions").json()) == before, "a session stays"


def test_without_a_server_nobody_knows_of_accounts(platform: Settings, tmp_path: Path):
    save_settings(platform, tmp_path / "mcenter.toml")
    for asked in (("users", "list"), ("groups", "list"), ("tokens", "list")):
        assert "sign in at it with `mcenter login URL`" in Commands(tmp_path)(*asked, exit_code=1)


def test_the_audit_log_and_the_report_are_read_without_a_server(
    platform: Settings, tmp_path: Path, client: httpx.Client
):
    save_settings(platform, tmp_path / "mcenter.toml")
    itself = Commands(tmp_path)
    shown = json.loads(itself("audit", "--mlapp", "churn", "--limit", "2", "--format", "json"))
    told = client.get("/api/v1/actions", params={"mlapp_id": "churn", "limit": 2}).json()["items"]
    assert [each["action_id"] for each in shown] == [each["action_id"] for each in told]
    assert "authenticated_by" in itself("audit", "--action", "apply_definition")

    may = ("report", "--period", "month", "--day", "2026-05-15")
    asked = {"period": "month", "day": "2026-05-15"}
    by_rest = client.get("/api/v1/business-report", params=asked).json()
    printed = json.loads(itself(*may, "--json"))
    assert [each["mlapp_id"] for each in printed["mlapps"]] == [
        each["mlapp_id"] for each in by_rest["mlapps"]
    ]
    (churn,) = [each for each in by_rest["mlapps"] if each["mlapp_id"] == "churn"]
    assert (churn["models"], churn["before"]["models"]) == (2, 0)
    assert churn["predictions"] == next(
        each["predictions"] for each in printed["mlapps"] if each["mlapp_id"] == "churn"
    )
    assert [each["points"] for each in by_rest["kpis"] if each["name"] == "revenue"] == [31]
    assert "churn" in (said := itself(*may))
    assert "revenue" in said
    assert "unknown time zone 'Mars'" in itself(*may, "--timezone", "Mars", exit_code=1)
    for wrong in ({"timezone": "Mars"}, {"day": "0001-01-01"}, {"day": "9999-12-31"}, {"period": "year"}):
        assert client.get("/api/v1/business-report", params=wrong).status_code == 422, wrong


def test_without_a_server_commands_act_themselves(platform: Settings, tmp_path: Path, client: httpx.Client):
    save_settings(platform, tmp_path / "mcenter.toml")
    said = Commands(tmp_path)(
        "alerts", "silence", "mlapp=churn", "--for", "1h", "--comment", "by hand", "--who", "grace"
    )
    silence_id = said.split()[1]
    wait_for(lambda: actions(client, target=silence_id), "the audit log does not tell")
    (done,) = actions(client, target=silence_id)
    assert (done["who"], done["authenticated_by"]) == ("grace", UNVERIFIED_LOCAL_USER)
