"""What these tests do: a small shuffle whose end state is known, and what must hold after any fault."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from s4zmq.errors import S4Error

from ..cluster.kit import make_tree, values
from ..harness import Cluster, wait_until, without_progress

INPUTS = {
    **{f"{number}_in": b"%d\n" % number for number in range(6)},
    "dir/0_deep": b"deep\n",
    "dir/name": b"name\n",
}
OUTPUTS = ("0_x", "1_y", "2_z", "w")
LARGE_BYTES = 600_000

SPLIT = (
    f"cat > 0_x; cp 0_x 1_y; cp 0_x w; cp 0_x 2_z; head -c {LARGE_BYTES} /dev/zero >> 1_y;"
    ' printf "0_x\\n1_y\\n2_z\\nw\\n"'
)
"""A command of map-to-n: outputs on every node, one of them too large for a message."""


def split_makes(inputs: Mapping[str, bytes]) -> dict[str, bytes]:
    """What an undisturbed run of SPLIT leaves below its output folder."""
    return {
        f"{path}/{name}": value + (bytes(LARGE_BYTES) if name == "1_y" else b"")
        for path, value in inputs.items()
        for name in OUTPUTS
    }


FAULT_DEADLINE_S = 15.0
"""The contract's 10 s, and what a machine of two cores takes more when it is busy."""


def put_inputs(cluster: Cluster, folder: Path, files: Mapping[str, bytes] = INPUTS) -> None:
    """`files` in `s4://in/`; `folder` must not be there yet."""
    cluster.ok("cp", "-r", make_tree(folder, files), "s4://in/")


def ended(process: subprocess.Popen[bytes], timeout_s: float = FAULT_DEADLINE_S) -> tuple[int, str]:
    """(exit status, stderr) of a command line that a fault has hit: it ends by itself, in time."""
    _, stderr = process.communicate(timeout=timeout_s)
    assert b"Traceback" not in stderr, stderr
    return process.returncode, without_progress(stderr).decode()


def partial(cluster: Cluster) -> dict[str, set[str]]:
    """The inputs of a SPLIT of which some outputs are visible, and not all."""
    found: dict[str, set[str]] = {}
    for key in cluster.keys("out/"):
        head, _, name = key.removeprefix("s4://out/").rpartition("/")
        found.setdefault(head, set()).add(name)
    return {path: names for path, names in found.items() if names != set(OUTPUTS)}


def wait_all_or_none(cluster: Cluster) -> None:
    """Of every input of a SPLIT all outputs are visible, or none, as soon as all nodes answer."""

    def is_so() -> bool:
        try:
            return not partial(cluster)
        except S4Error:
            return False

    wait_until(is_so, "the outputs of each input to be visible together or not at all", FAULT_DEADLINE_S)


def assert_resumed(
    cluster: Cluster, folder: Path, inputs: Mapping[str, bytes] = INPUTS, command: str = SPLIT
) -> None:
    """`--resume` of a SPLIT ends well, and leaves what an undisturbed run leaves; `folder` is not there
    yet."""
    done = cluster.s4("map-to-n", "--resume", "s4://in/", "s4://out/", command, timeout_s=60)
    assert (done.returncode, done.stderr) == (0, b""), done
    assert values(cluster, folder, "s4://out/") == split_makes(inputs)
    cluster.assert_no_leftovers()
