"""Pages about models, in a real browser and by role: what people decide there arrives at the platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from parallelm.connections.artifacts import local_path
from parallelm.operations.models import decide
from parallelm.server.access.matrix import APPROVER, DATA_SCIENTIST, OPERATOR, VIEWER
from parallelm.server.pages.models.decisions import in_words
from parallelm.warehouse.queries import models, pins
from tests.people import person
from tests.server.browser.looking import assert_accessible, take_pictures
from tests.server.model_events import accept, define, published, state_of
from tests.server.seed import MLAPP
from tests.stream_processors.notifications.transitions import deployment
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import Locator, Page

    from parallelm.connections import Settings


@pytest.mark.parametrize(
    ("others", "more"),
    [(0, ""), (1, "; 1 other model is superseded"), (7, "; 7 other models are superseded")],
)
def test_a_decision_is_told_once_however_many_models_it_supersedes(others: int, more: str) -> None:
    superseded = [
        deployment("superseded", model=f"m{number}", reason="x was requested") for number in range(others)
    ]
    answers = [*superseded, deployment("requested", reason="grace approved it")]
    assert in_words(answers) == f"predict: requested: grace approved it{more}"


@pytest.fixture
def mlapp(platform: Settings) -> str:
    return define(platform, "reviews")


def answer(page: Page, button: str, submit: str, comment: str = "") -> None:
    """Open a dialog by its button, say why, and send it."""
    page.get_by_role("button", name=button, exact=True).click()
    dialog = page.get_by_role("dialog")
    if comment:
        dialog.get_by_role("textbox").last.fill(comment)
    dialog.get_by_role("button", name=submit, exact=True).click()


def told(page: Page, text: str) -> Locator:
    """What the page says at once; it goes after some seconds."""
    found = page.locator(".toast", has_text=text)
    found.first.wait_for()
    return found


def test_models_are_found_by_what_is_known_of_them(client: httpx.Client, platform: Settings):
    assert client.get("/models", params={"annotation": "user_defined"}).status_code == 422
    for question, found in (
        ({"search": "CHURN-30"}, ["churn-30"]),
        ({"format": "Json", "mlapp_id": MLAPP}, ["churn-00", "churn-30"]),
        ({"format": "Onnx"}, []),
        ({"owner": "nobody"}, []),
        ({"from": "2026-05-20", "mlapp_id": MLAPP}, ["churn-30"]),
    ):
        text = client.get(f"/mlapps/{MLAPP}/models", params=question).text
        assert [name for name in ("churn-00", "churn-30") if f'aria-label="Compare {name}"' in text] == found
    model_id = models(platform, mlapp_id=MLAPP)["model_id"].iloc[0]
    assert (
        client.get(f"/models/{model_id}", follow_redirects=True).url.path
        == f"/mlapps/{MLAPP}/models/{model_id}"
    )


def test_models_of_others_are_neither_listed_nor_found(
    client_with: Callable[[str, str], httpx.Client], platform: Settings
):
    model_id = models(platform, mlapp_id=MLAPP)["model_id"].iloc[0]
    elsewhere = client_with(VIEWER, "elsewhere")
    assert "churn-" not in elsewhere.get("/models").text
    assert elsewhere.get(f"/models/{model_id}").status_code == 404
    assert elsewhere.get(f"/mlapps/{MLAPP}/models/{model_id}").status_code == 403
    assert elsewhere.get(f"/mlapps/elsewhere/models/{model_id}").status_code == 404


def test_each_role_is_shown_what_it_may_do_and_nothing_else_is_done(
    client_as: Callable[[str], httpx.Client], platform: Settings, mlapp: str, tmp_path: Path
):
    model_id = published(platform, tmp_path, mlapp, "one")
    here = f"/mlapps/{mlapp}/models/{model_id}"
    shown = {role: client_as(role).get(here).text for role in (VIEWER, DATA_SCIENTIST, APPROVER, OPERATOR)}
    buttons = ('data-opens="approve"', f'href="{here}/download"', 'data-opens="delete"')
    assert {role: [each in text for each in buttons] for role, text in shown.items()} == {
        VIEWER: [False, False, False],
        DATA_SCIENTIST: [False, True, False],
        APPROVER: [True, True, False],
        OPERATOR: [False, True, True],
    }
    scientist = client_as(DATA_SCIENTIST)
    assert (
        scientist.post(f"{here}/decide", data={"action": "approve", "model_id": model_id}).status_code == 403
    )
    assert scientist.post(f"/mlapps/{mlapp}/models/decide", data={"action": "approve"}).status_code == 403
    assert scientist.post(f"{here}/delete", data={"comment": "x"}).status_code == 403
    assert client_as(VIEWER).get(f"{here}/download").status_code == 403
    file = {"file": ("m.json", b"{}")}
    assert client_as(VIEWER).post(f"/mlapps/{mlapp}/models/upload", data={"name": "m", "format": "Json"}, files=file).status_code == 403  # fmt: skip
    assert scientist.get(f"{here}/download").content == b'{"name": "one"}'
    assert state_of(platform, mlapp, model_id) == "awaiting_approval"


def test_a_model_is_reviewed_beside_the_live_one(page: Page, platform: Settings, mlapp: str, tmp_path: Path):
    first = published(platform, tmp_path, mlapp, "first")
    page.goto(f"/mlapps/{mlapp}/models")
    page.get_by_text("No other model is live on predict").wait_for()
    answer(page, "Approve", "Approve", "good enough")
    told(page, "requested")
    assert state_of(platform, mlapp, first) == "requested"
    accept(platform, mlapp, first)
    second = published(platform, tmp_path, mlapp, "second")

    page.reload()
    page.get_by_text("Live now: first").wait_for()
    page.get_by_text("Neither model has a metric.").wait_for()
    assert_accessible(page)
    take_pictures(page, "reviews")
    answer(page, "Reject", "Reject", "too early")
    told(page, "rejected")
    assert state_of(platform, mlapp, second) == "rejected"
    page.reload()
    assert page.locator("section.review").count() == 0
    page.get_by_role("link", name="second").first.click()
    page.get_by_role("cell", name="ada rejected it: too early").wait_for()


def test_somebody_who_was_faster_is_named_and_the_page_is_fresh(
    page: Page, platform: Settings, mlapp: str, tmp_path: Path
):
    model_id = published(platform, tmp_path, mlapp, "one")
    page.goto(f"/mlapps/{mlapp}/models/{model_id}")
    decide(platform, "approve", mlapp, who=person("bea"), model_id=model_id)
    wait_for(lambda: state_of(platform, mlapp, model_id) == "requested")
    answer(page, "Approve", "Approve")
    assert "it is requested (by bea)" in told(page, "approve refused").inner_text()
    assert page.get_by_role("button", name="Approve").count() == 0


def test_what_somebody_types_and_chooses_stays_when_a_decision_of_others_arrives(
    page: Page, platform: Settings, mlapp: str, tmp_path: Path
):
    model_id = published(platform, tmp_path, mlapp, "one")
    with page.expect_response("**/live**"):
        page.goto(f"/mlapps/{mlapp}/models")
    search, box = page.get_by_label("Name, id or description"), page.get_by_label("Compare one")
    search.fill("half a na")
    box.check()
    page.get_by_role("button", name="Reject", exact=True).click()
    comment = page.get_by_role("dialog").get_by_role("textbox").last
    comment.fill("not yet")
    page.evaluate(
        "document.addEventListener('htmx:sseMessage', () => { window.heardAt = performance.now(); })"
    )
    decide(platform, "approve", mlapp, who=person("bea"), model_id=model_id)
    page.wait_for_function("() => performance.now() > window.heardAt + 200")
    expect(comment).to_have_value("not yet")

    with page.expect_response(lambda each: each.request.headers.get("hx-target") == "now") as came:
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert "filters" not in came.value.text(), "only the part that changes is sent"
    expect(page.locator("section.review")).to_have_count(0)
    expect(search).to_have_value("half a na")
    expect(box).to_be_checked()


def test_a_node_is_pinned_unpinned_and_rolled_back(
    page: Page, platform: Settings, mlapp: str, tmp_path: Path
):
    made = []
    for name in ("first", "second"):
        made.append(published(platform, tmp_path, mlapp, name))
        decide(platform, "approve", mlapp, who=person("bea"), model_id=made[-1])
        accept(platform, mlapp, made[-1])
    page.goto(f"/mlapps/{mlapp}/models")
    answer(page, "Pin", "Pin", "holidays")
    page.get_by_text("pinned by ada").wait_for()
    assert pins(platform, mlapp)["predict"]["model_id"] == made[1]
    answer(page, "Unpin", "Unpin", "back again")
    page.get_by_role("button", name="Roll back").wait_for()
    answer(page, "Roll back", "Roll back", "it answers too slowly")
    told(page, "rolled back")
    assert state_of(platform, mlapp, made[1]) == "rolled_back"
    accept(platform, mlapp, made[0])
    page.goto(f"/mlapps/{mlapp}/models/{made[0]}")
    live = page.get_by_role("region", name="Live times")
    assert live.locator("tbody tr").count() == 2
    assert_accessible(page)
    page.goto(f"/mlapps/{mlapp}/models/{made[1]}")
    answer(page, "Deploy", "Deploy", "")
    wait_for(lambda: state_of(platform, mlapp, made[1]) == "requested")


def test_a_model_is_uploaded_compared_and_deleted(page: Page, platform: Settings, mlapp: str, tmp_path: Path):
    published(platform, tmp_path, mlapp, "one")
    file = tmp_path / "by hand.json"
    file.write_text('{"bias": 1}', encoding="ascii")
    page.goto(f"/mlapps/{mlapp}/models")
    page.get_by_role("button", name="Upload a model").click()
    dialog = page.get_by_role("dialog")
    assert_accessible(page)
    dialog.get_by_label("File").set_input_files(file)
    dialog.get_by_label("Name").fill("by hand")
    dialog.get_by_label("Annotations").fill("team=retention, runs=3")
    dialog.get_by_role("button", name="Upload").click()
    told(page, "Model by hand is uploaded.")
    page.get_by_role("heading", name="by hand", exact=True).wait_for()
    row = models(platform, mlapp_id=mlapp, name="by hand").to_dict("records")[0]
    assert row["annotations"] == {"team": '"retention"', "runs": "3", "source": '"uploaded"'}

    page.goto(f"/mlapps/{mlapp}/models?annotation=runs%3D3")
    assert page.get_by_role("region", name="Models").locator("tbody tr").count() == 1
    page.goto(f"/mlapps/{mlapp}/models")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare the two chosen").click()
    page.get_by_role("heading", name="beside").wait_for()
    assert_accessible(page)

    page.goto(f"/mlapps/{mlapp}/models/{row['model_id']}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "by hand.json"
    assert download.value.path().read_bytes() == file.read_bytes()
    answer(page, "Delete", "Delete the file", "a try")
    told(page, "The model's file is deleted")
    page.get_by_text("deleted by ada").wait_for()
    assert not Path(local_path(row["artifact_url"])).exists()
    page.reload()
    page.get_by_text("its file is gone, what it did stays").wait_for()
    assert page.get_by_role("link", name="Download").count() == 0


def test_a_model_in_use_is_not_deleted(page: Page, platform: Settings, mlapp: str, tmp_path: Path):
    model_id = published(platform, tmp_path, mlapp, "one")
    page.goto(f"/mlapps/{mlapp}/models/{model_id}")
    answer(page, "Delete", "Delete the file", "cleaning up")
    told(page, "is awaiting_approval on node 'predict'")
    assert models(platform, model_id=model_id)["deleted_by"].item() == ""


@pytest.mark.long  # every theme and width
def test_the_pages_look_well(page: Page, platform: Settings):
    found = list(models(platform, mlapp_id=MLAPP)["model_id"])
    for name, path in (
        ("models", "/models"),
        ("models-mlapp", f"/mlapps/{MLAPP}/models"),
        ("model", f"/mlapps/{MLAPP}/models/{found[0]}"),
        ("compare", f"/mlapps/{MLAPP}/models/compare?model={found[0]}&model={found[1]}"),
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert_accessible(page)
        take_pictures(page, name)
