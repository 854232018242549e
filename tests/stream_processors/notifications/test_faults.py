"""Two notifiers under faults: killed, suspended past the session time-out, and with a receiver that fails.

`make faults` asks for more rounds. What is missing, doubled or told under two ids fails the test; repeats under one id are
counted, and there is at most one for each fault.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING

from tests.stream_processors.notifications.platform import rules
from tests.stream_processors.notifications.transitions import alert
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.service_process import ServiceProcess
    from tests.stream_processors.notifications.platform import Platform
    from tests.stream_processors.notifications.receivers import HttpReceiver

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "4"))
SEED = int(os.environ.get("FAULT_SEED", "7"))
ALERTS_OF_A_ROUND = 5
FAULTS = ("kill", "suspend", "refuse", "kill both")


class Faults:
    """The two notifiers, and what is done to them."""

    def __init__(self, platform: Platform, receiver: HttpReceiver, chance: random.Random) -> None:
        self.notifiers = [platform.notifier("n1"), platform.notifier("n2")]
        self._receiver = receiver
        self._chance = chance
        self._turns = [0, 0]
        self._last = 0

    def active(self) -> int:
        """Number of the one that began to send last: the others wait for it."""
        turns = [notifier.log().count("this notifier sends") for notifier in self.notifiers]
        for number, (now, before) in enumerate(zip(turns, self._turns, strict=True)):
            if now > before:
                self._last = number
        self._turns = turns
        return self._last

    def inject(self, kind: str) -> None:
        one = self.notifiers[self.active()]
        other = self.notifiers[1 - self._last]
        if kind.startswith("kill"):
            if kind == "kill both":
                other.kill()
                other.start(wait=False)
            one.kill()
            one.start(wait=False)
        elif kind == "suspend":
            suspend(one)
            taken = other.log().count("this notifier sends")
            wait_for(lambda: other.log().count("this notifier sends") > taken, other.log)
            process(one).send_signal(signal.SIGCONT)
        else:
            self._receiver.status = 503

    def log(self) -> str:
        return "\n\n".join(notifier.log() for notifier in self.notifiers)


def process(notifier: ServiceProcess):
    assert notifier.process is not None
    return notifier.process


def suspend(notifier: ServiceProcess) -> None:
    process(notifier).send_signal(signal.SIGSTOP)


def test_nothing_is_missed_or_told_under_two_ids_whatever_ends_when(
    platform: Platform, receiver: HttpReceiver
):
    chance = random.Random(SEED)
    platform.rules(rules(receiver.port, wait="100ms"))
    faults = Faults(platform, receiver, chance)
    first, second = faults.notifiers
    with first.gone_at_the_end(), second.gone_at_the_end():
        first.start()
        second.start()
        for number in range(ROUNDS):
            names = [f"r{number}-{each}" for each in range(ALERTS_OF_A_ROUND)]
            kind = FAULTS[number % len(FAULTS)]
            for state in ("firing", "resolved"):
                cut = chance.randrange(len(names) + 1)
                platform.send(*(alert(state, name) for name in names[:cut]))
                if state == "firing" or kind != "suspend":
                    faults.inject(kind)
                platform.send(*(alert(state, name) for name in names[cut:]))
                receiver.status = 200 if kind != "refuse" else receiver.status
                wait_for(lambda: len(receiver.posts) > 0, faults.log)
                receiver.status = 200
                wait_for(lambda names=names, state=state: told(receiver, state) >= set(names), faults.log)
    by_id = {post.id: post for post in receiver.posts}
    assert Counter((post.body["status"], rule_of(post.title)) for post in by_id.values()) == Counter(
        (state, f"r{number}-{each}")
        for state in ("firing", "resolved")
        for number in range(ROUNDS)
        for each in range(ALERTS_OF_A_ROUND)
    )
    assert all(post.body == by_id[post.id].body for post in receiver.posts), "a repeat is the same message"
    repeats = len(receiver.posts) - len(by_id) - receiver.refused
    print(f"seed {SEED}: {len(by_id)} notifications, {repeats} repeats in {ROUNDS} rounds")  # noqa: T201
    assert repeats <= 2 * ROUNDS


def told(receiver: HttpReceiver, state: str) -> set[str]:
    return {
        rule_of(post.title)
        for post in list(receiver.posts)
        if post.body["status"] == state and post.status == 200
    }


def rule_of(title: str) -> str:
    return title.split()[1]
