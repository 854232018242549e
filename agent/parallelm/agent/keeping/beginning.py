"""How a keeper learns which run it is for: it hears the agent out, claims the run and answers.

All of it happens in a process aside: it takes more memory than a keeper has to have.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import socket
import struct
import zlib
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.decisions import RESERVE, Begun, Decider
from parallelm.agent.keeping.files import reserve_space
from parallelm.agent.keeping.process_identity import ProcessIdentity
from parallelm.agent.keeping.run_folder import RunFolder

if TYPE_CHECKING:
    from parallelm.agent.keeping.plan import Plan

_MAX_QUESTION = 4 << 20
_QUESTION_S = 10.0


def begin(connection: int, keeper: int) -> tuple[Any, ...] | None:
    """Claim for ``keeper`` the run that the agent asks for; the fields of ``Begun``, or None when it is not to be begun."""
    with socket.socket(fileno=connection) as agent:
        agent.settimeout(_QUESTION_S)
        credentials = agent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] not in {os.getuid(), 0}:
            return None
        with agent.makefile("rb") as lines:
            question = json.loads(lines.readline(_MAX_QUESTION))
        claimed, answer = None, {}
        try:
            claimed = _claimed(question, keeper)
        except (OSError, ValueError, TypeError, LookupError) as error:
            answer = {"error": str(error)}
        with contextlib.suppress(OSError):  # an agent that is gone finds the claim
            agent.sendall(json.dumps(answer).encode() + b"\n")
    return None if claimed is None else tuple(claimed)


def _claimed(question: dict[str, Any], keeper: int) -> Begun | None:
    """None: it has ended, or somebody else has claimed it."""
    run = RunFolder.at(question["run"])
    plan = run.plan()
    reserve_space(run.path / RESERVE)
    if run.ending() is not None or not run.claim(ProcessIdentity.of(keeper)):
        return None
    return begun(question["run"], plan, question["inherited"], question["secrets"])


def begun(path: str, plan: Plan, inherited: dict[str, str], secrets: dict[str, str]) -> Begun:
    """A run that was claimed: its variables apart from all else, which is unpacked for each decision."""
    of_steps = {step.step_id: dict(step.environ) for step in plan.steps}
    environs = zlib.compress(marshal.dumps((inherited, secrets, dict(plan.environ), of_steps)))
    bare = plan._replace(steps=[step._replace(environ={}) for step in plan.steps], environ={})
    return Begun(path, plan.log_bytes, plan.log_keep_s, Decider(path, bare).state(), environs)
