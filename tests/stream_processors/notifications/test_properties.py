"""For any run of alerts, kills and absences: nobody is left with a wrong picture, and groups do not depend on chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.stream_processors.notifications.desks import Clerk, H
from tests.stream_processors.notifications.transitions import alert

if TYPE_CHECKING:
    from parallelm.schemas.records import Notification

RULES, FEATURES = ("drift", "late"), (1, 2, 3)
Step = tuple[str, str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["firing", "firing", "resolved", "acknowledged", "restart", "away", "back"]),
        st.sampled_from(RULES),
        st.sampled_from(FEATURES),
        st.integers(0, 400_000),
    ),
    max_size=40,
)


def run(steps: list[Step], *, restarts: bool = True) -> Clerk:
    clerk = Clerk()
    for number, (what, rule, feature, later_ms) in enumerate(steps):
        if what == "restart":
            if restarts:
                clerk.restart()
        elif what in {"away", "back"}:
            clerk.away = {"team/webhook/0"} if what == "away" else set()
        else:
            transition = alert(
                what,
                rule,
                labels={"f": feature},
                transition_id=f"t{number}",
                alert_id=f"{rule}{feature}",
                who="w",
            )
            clerk.take(transition)
        clerk.at(clerk.now_ms + later_ms)
    return clerk


@given(STEPS)
def test_everybody_knows_in_the_end_what_fires(steps: list[Step]):
    clerk = run(steps)
    clerk.away = set()
    clerk.at(clerk.now_ms + 3 * H)
    fires: dict[tuple[str, int], bool] = {}
    for what, rule, feature, _ in steps:
        if what in {"firing", "resolved"} or (what == "acknowledged" and not fires.get((rule, feature))):
            fires[rule, feature] = what != "resolved"
    for rule in RULES:
        newest = next((each for each in reversed(clerk.sent) if each.title.endswith(f"{rule} app")), None)
        firing = {feature for (name, feature), is_firing in fires.items() if name == rule and is_firing}
        assert (newest.firing if newest else 0) == len(firing)
        for feature in firing:
            assert newest is not None
            assert f"f={feature}" in newest.body
    assert len(clerk.desk.deliveries) == 0
    if not any(fires.values()):
        clerk.store()
        assert not any(clerk.stored.values()), "nothing is remembered of what is over"


@given(STEPS)
def test_no_notification_is_sent_twice_and_a_restart_changes_none(steps: list[Step]):
    def told(sent: list[Notification]) -> list[tuple[str, str, str]]:
        return [(each.notification_id, each.title, each.body) for each in sent]

    steady = run([step for step in steps if step[0] not in {"away", "back"}], restarts=False)
    killed = run([step for step in steps if step[0] not in {"away", "back"}])
    assert told(steady.sent) == told(killed.sent)
    ids = [each.notification_id for each in killed.sent]
    assert len(ids) == len(set(ids))


@given(STEPS, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_what_comes_at_once(steps: list[Step], chance: object):
    from random import Random

    assert isinstance(chance, Random)
    transitions = [
        alert("firing", rule, labels={"f": feature}, transition_id=f"{rule}{feature}")
        for _, rule, feature, _ in steps
    ]
    shuffled = chance.sample(transitions, len(transitions))
    first, second = Clerk().take(*transitions).at(H), Clerk().take(*shuffled).at(H)
    assert [
        (each.notification_id, each.body) for each in sorted(first.sent, key=lambda each: each.title)
    ] == [(each.notification_id, each.body) for each in sorted(second.sent, key=lambda each: each.title)]
