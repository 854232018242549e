"""Lines of the contract: life cycle and modes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops import MLOps, mlops
from parallelm.mlops.common.string_ops import mask_passwords
from parallelm.mlops.constants import Versions
from parallelm.mlops.mlops_exception import MLOpsException, SuppressException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.packer import DirectoryPack
from tests.producers.contract.line import FIRST, LAST, REFUSED, Line, scalar
from tests.producers.contract.model_lines import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Callable


def own(use: Callable[[MLOps], Any], mode: MLOpsMode | str | None = None, **arguments: Any) -> Any:
    """What ``use`` makes of a library of its own, between its ``init()`` and ``done()``."""
    library = MLOps()
    library.init(mlops_mode=mode, **arguments)
    try:
        return use(library)
    finally:
        library.done()


def opened_and_done() -> list[bool]:
    """What the library says of its state."""
    library = MLOps()
    states = [library.init_called, library.done_called]
    library.init()
    states += [library.init_called, library.done_called]
    library.set_stat("own", 1.5)
    library.done()
    return [*states, library.init_called, library.done_called]


def attached() -> str:
    """The MLApp of a library that is attached to it, and reports."""
    library = MLOps()
    library.attach("app")
    library.set_stat("attached", 1.5)
    library.done()
    return "attached"


def in_test_mode(library: MLOps) -> list[Any]:
    """Nothing is sent and nothing is asked."""
    library._set_api_test_mode()
    library.set_stat("not sent", 1)
    return [library.get_stats("x", None, None, FIRST, LAST), library.get_events()]


def suppressed() -> list[str]:
    """What a method's handler is given while suppression is on."""
    seen: list[str] = []

    @SuppressException([MLOpsException], handler=lambda error: seen.append(str(error)))
    def fails() -> None:
        raise MLOpsException("away")

    SuppressException.set_suppress(True)
    fails()
    mlops.suppress_connection_errors(False)
    try:
        fails()
    except MLOpsException:
        seen.append("raised")
    return seen


def packed() -> str:
    """What a packed folder holds when it is unpacked again."""
    Path("to pack").mkdir()
    Path("to pack", "file").write_text(WEIGHTS)
    DirectoryPack().unpack(DirectoryPack(temp_folder=".").pack("to pack"), "unpacked")
    return Path("unpacked", "to pack", "file").read_text()


LIFE_CYCLE: Final = {
    "MLOps.init": Line(mlops.init),
    "MLOps.init of an unknown mode": Line(lambda: MLOps().init(mlops_mode="nowhere"), answers=REFUSED),
    "MLOps.init of a version that is not supported": Line(
        lambda: MLOps().init(version=Versions.VERSION_0_0_9), answers=REFUSED
    ),
    **{
        f"MLOps.init of version {version}": Line(
            lambda version=version: own(lambda library: library.init_called, "stand_alone", version=version),
            answers=True,
        )
        for version in Versions.SUPPORTED
    },
    "MLOps.init stand-alone that should connect": Line(
        lambda: MLOps().init(connect_mlops=True, mlops_mode=MLOpsMode.STAND_ALONE), answers=REFUSED
    ),
    "MLOps.done": Line(opened_and_done, scalar("own", 1.5), answers=[False, False, True, False, False, True]),
    "MLOps.done of what is not open": Line(lambda: MLOps().done(), answers=REFUSED),
    "MLOps.init_called": Line(lambda: mlops.init_called, answers=True),
    "MLOps.done_called": Line(lambda: mlops.done_called, answers=False),
    "MLOps.attach": Line(
        attached, answers="MLOpsConnectionException", connected="attached", adds=(scalar("attached", 1.5),)
    ),
    "MLOps.suppress_connection_errors": Line(suppressed, answers=["away", "raised"]),
    "mlops_exception.SuppressException.set_suppress": Line(suppressed, answers=["away", "raised"]),
    "MLOps.get_uuid": Line(lambda: mlops.get_uuid() == mlops.get_uuid(), answers=True),
    "MLOps.set_uuid": Line(lambda: MLOps().set_uuid("u-1").get_uuid(), answers="u-1"),
    "MLOps.test_mode": Line(lambda: mlops.test_mode, answers=False),
    "MLOps._set_test_mode": Line(lambda: mlops._set_test_mode(False)),
    "MLOps._set_api_test_mode": Line(lambda: own(in_test_mode), answers=[None, None]),
    "MLOps.get_stats_map": Line(mlops.get_stats_map, answers={}),
    "MLOps.get_stats_map of the accumulator": Line(
        lambda: own(
            lambda library: (library.set_stat("x", 2.5), library.get_stats_map()), MLOpsMode.REST_ACCUMULATOR
        )[1],
        answers={"x": 2.5},
    ),
    "MLOps.dropped": Line(mlops.dropped, answers={}),
    "mlops_mode.MLOpsMode.from_str": Line(lambda: MLOpsMode.from_str("Agent").value, answers="agent"),
    "common.string_ops.mask_passwords": Line(
        lambda: mask_passwords({"password": "secret", "user": "me"}),
        answers='{"password": "*****", "user": "me"}',
    ),
    "packer.DirectoryPack.pack": Line(packed, answers=WEIGHTS),
    "packer.DirectoryPack.unpack": Line(lambda: DirectoryPack().unpack("nothing", "there"), answers=REFUSED),
}
