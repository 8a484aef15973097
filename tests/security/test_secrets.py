"""The key itself: in no log, error, argument or environment."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from s4zmq.clusterkey import read_key

from ..cluster.kit import commands_running
from ..harness import Cluster, wait_until


def test_the_key_stands_in_no_log_error_argument_or_environment(cluster: Cluster) -> None:
    secret = read_key(cluster.key_path).secret
    forms = (secret, secret.hex().encode())
    cluster.ok("cp", "-", "s4://b/x", stdin=b"x")
    waiting = cluster.start_s4("eval", "s4://b/x", "sleep 100")
    try:
        wait_until(lambda: commands_running(cluster) == 1, "the command to run")
        nodes = [psutil.Process(node.process.pid) for node in cluster.nodes]
        processes = [psutil.Process(waiting.pid), *nodes]
        processes += [child for node in cluster.nodes for child in node.children()]
        assert len(processes) > len(nodes) + 1, "a command of the eval"
        for process in processes:
            for what in ("cmdline", "environ"):
                content = Path(f"/proc/{process.pid}/{what}").read_bytes()
                assert not any(form in content for form in forms), (process, what)
    finally:
        waiting.send_signal(signal.SIGINT)
        waiting.communicate()
    printed = cluster.ok("eval", "s4://b/x", 'env; echo "$S4_KEY_PATH"')
    assert cluster.key_path.encode() in printed
    texts = [printed, *(node.log.encode() for node in cluster.nodes)]
    texts.append(cluster.s4("cp", "s4://b/nothing", "-").stderr)
    assert not any(form in text for form in forms for text in texts)


def test_a_key_is_not_shown_by_what_says_that_it_is_broken(cluster: Cluster, tmp_path: Path) -> None:
    secret = os.urandom(32).hex()
    broken = tmp_path / "broken.key"
    for content in (f"s4-cluster-key-1 {secret[:-1]}\n", f"{secret}\n", f"s4-cluster-key-1 {secret} x\n"):
        broken.write_text(content)
        broken.chmod(0o600)
        text = cluster.refused("--key", broken, "ls")
        assert "is no cluster key" in text
        assert secret[:8] not in text
