"""Descriptors: many for the node, and for a command what the node was given."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource, subprocess, sys
from s4zmq import descriptors
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
assert descriptors.share_of(1000, 0.5) == 32
assert descriptors.share_of(10, 0.5) == 10
child = subprocess.Popen(["sleep", "60"])
descriptors.narrow(child.pid)  # nothing to do before `widen`
descriptors.widen()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
wide = subprocess.Popen(["sleep", "60"])
limit_of = lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE)
assert limit_of(wide.pid) == (hard, hard)
descriptors.narrow(wide.pid)
assert limit_of(wide.pid) == limit_of(child.pid) == (64, hard)
for process in (child, wide):
    process.kill()
    process.wait()
    descriptors.narrow(process.pid)  # it has ended
print("all of it")
"""


def test_a_node_may_have_many_and_its_commands_what_it_was_given() -> None:
    """In a process of its own: the limits of this one are not to be changed."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("all of it\n", "")
