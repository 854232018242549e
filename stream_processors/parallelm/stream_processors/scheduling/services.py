"""Online nodes: while the MLApp is launched each instance has a run that is up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.schemas.well_known import BY_SERVICE
from parallelm.stream_processors.scheduling.cycles import cycle_of
from parallelm.stream_processors.scheduling.state import EndsAs, Run, Service, run_id_of
from parallelm.stream_processors.scheduling.stopping import stop

if TYPE_CHECKING:
    from parallelm.stream_processors.scheduling.plans import NodePlan
    from parallelm.stream_processors.scheduling.work import Work


def wake(work: Work, node_id: str) -> None:
    """What made the node's services fail has changed: those that wait until they are started anew wait no longer."""
    node = work.node(node_id)
    work.put(
        replace(node, services=tuple(replace(each, not_before_ms=0, failures=0) for each in node.services))
    )


def keep_up(work: Work, plan: NodePlan) -> None:
    """Start what is to be up, and stop what is too many or is of an earlier form of the node."""
    if not plan.is_online or not work.begins_runs:
        return
    running = {each.instance: each for each in work.node(plan.node_id).runs}
    for instance, run in sorted(running.items()):
        if instance >= plan.running.parallelism:
            stop(work, plan.node_id, run, f"the node has {plan.running.parallelism} instances now")
        elif run.form != plan.form and run.ends_as is EndsAs.NOTHING:
            reason = f"version {work.app.version} of the definition has changed the node: it starts anew"
            stop(work, plan.node_id, run, reason)
    if work.node(plan.node_id).paused:
        return
    node = work.node(plan.node_id)
    up = {each.instance for each in node.runs}
    services = {each.instance: each for each in node.services}
    for instance in range(plan.running.parallelism):
        service = services.get(instance, Service(instance))
        if instance in up or service.is_done or service.not_before_ms > work.now_ms:
            continue
        if service.refused_form == plan.form:
            continue
        services[instance] = replace(service, starts=service.starts + 1, not_before_ms=0, refused_form="")
        trigger_id = f"{work.app.launch_id}/{service.starts + 1}"
        cycle = cycle_of(BY_SERVICE, trigger_id)
        run = Run(
            run_id_of(work.app.mlapp_id, plan.node_id, instance, cycle), instance, cycle, BY_SERVICE, trigger_id,
            work.now_ms, work.app.version, plan.form, since_ms=work.now_ms, who=work.app.who,
        )  # fmt: skip
        node = replace(node, runs=(*node.runs, run))
    kept = tuple(each for each in services.values() if each.instance < plan.running.parallelism)
    if (node.runs, kept) != (work.node(plan.node_id).runs, work.node(plan.node_id).services):
        work.put(replace(node, services=kept))
