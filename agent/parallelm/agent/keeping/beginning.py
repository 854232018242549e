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
from typing import Any

from parallelm.agent.keeping.files import reserve_space
from parallelm.agent.keeping.keeper import RESERVE, Begun
from parallelm.agent.keeping.process_identity import ProcessIdentity
from parallelm.agent.keeping.run_folder import RunFolder

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
        begun, answer = None, {}
        try:
            begun = _claimed(question, keeper)
        except (OSError, ValueError, TypeError, LookupError) as error:
            answer = {"error": str(error)}
        with contextlib.suppress(OSError):  # an agent that is gone finds the claim
            agent.sendall(json.dumps(answer).encode() + b"\n")
    return None if begun is None else tuple(begun)


def _claimed(question: dict[str, Any], keeper: int) -> Begun | None:
    """None: it has ended, or somebody else has claimed it."""
    run = RunFolder.at(question["run"])
    plan = run.plan()
    reserve_space(run.path / RESERVE)
    if run.ending() is not None or not run.claim(ProcessIdentity.of(keeper)):
        return None
    of_steps = {step.step_id: dict(step.environ) for step in plan.steps}
    environs = marshal.dumps((question["inherited"], question["secrets"], dict(plan.environ), of_steps))
    steps = [step._replace(environ={}) for step in plan.steps]
    return Begun(question["run"], plan._replace(steps=steps, environ={}).table(), environs)
