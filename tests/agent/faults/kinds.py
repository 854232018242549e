"""Which faults happen in a run, in which order, and which cannot be made here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .run import Run


def faults_of(run: Run, rounds: int) -> Iterator[Callable[[], str]]:
    """First those of a short run, then each kind once, then by chance."""
    first = [run.lose_host_as_it_was, run.pause_agent, run.kill_control_plane]
    kinds = [
        *(run.kill_agent, run.lose_host, run.cut_off, run.repeat, run.impostor, run.fill_disk),
        *(
            run.set_clock_off,
            run.jump_clock,
            run.kill_several,
            run.control_plane_moves,
            run.kill_broker,
            run.stop_broker,
        ),
    ]
    cannot: list[tuple[Callable[[], str], str]] = []
    if run.stack is None:
        cannot += [(each, "the broker is that of other tests") for each in (run.kill_broker, run.stop_broker)]
    if run.hosts[0].network.wire is None:
        cannot.append((run.cut_off, "a network of its own needs root"))
    if not run.hosts[0].has_disk:
        cannot.append((run.fill_disk, "a disk of its own needs root"))
    kinds = [each for each in kinds if each not in {kind for kind, _ in cannot}]
    run.left_out = [f"{kind.__name__} ({why})" for kind, why in cannot]
    yield from [*first, *kinds][:rounds]
    for _ in range(len(first) + len(kinds), rounds):
        yield run.chance.choice([*first, *kinds])
