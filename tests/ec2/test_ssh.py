"""Command lines of SSH, as the real ssh understands them."""

from __future__ import annotations

import shlex
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from s4zmq.ec2.files import Files
from s4zmq.ec2.machines import Machine
from s4zmq.ec2.ssh import ssh_argv, sshuttle_argv

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
TAGS = {"s4-ssh-user": "debian"}
ONE = Machine("i-1", "running", "10.0.0.9", "203.0.113.7", "t", NOW, TAGS, "")
TWO = Machine("i-2", "running", "10.0.0.10", "", "t", NOW, {}, "")


def understood(argv: list[str]) -> dict[str, str]:
    """What ssh would do."""
    done = subprocess.run([argv[0], "-G", *argv[1:]], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_ssh_trusts_the_keys_of_the_cluster_and_no_others(tmp_path: Path) -> None:
    files = Files(tmp_path / "100% mine", "taxi")
    found = understood(ssh_argv(files, ONE, ["true"], "-o", "BatchMode=yes"))
    assert (found["user"], found["hostname"], found["hostkeyalias"]) == ("debian", "203.0.113.7", "i-1")
    assert f'UserKnownHostsFile="{tmp_path}/100%% mine/clusters/taxi.known_hosts"' in ssh_argv(
        files, ONE, []
    )
    assert found["stricthostkeychecking"] == "true"
    assert found["userknownhostsfile"] == str(files.known_hosts)
    assert found["globalknownhostsfile"] == "/dev/null"
    assert (found["batchmode"], found["identitiesonly"]) == ("yes", "no")
    files.make_folder()
    files.ssh_key.touch()
    found = understood(ssh_argv(files, TWO, []))
    assert (found["user"], found["hostname"], found["batchmode"]) == ("admin", "10.0.0.10", "no")
    assert (found["identityfile"], found["identitiesonly"]) == (
        f"{tmp_path}/100%% mine/clusters/taxi.ssh",
        "yes",
    )


def test_sshuttle_gets_the_same_ssh_and_the_nodes_addresses(tmp_path: Path) -> None:
    files = Files(tmp_path / "a folder", "taxi")
    _, option, program, _, host, *networks = sshuttle_argv(files, ONE, [ONE, TWO])
    assert option == "--ssh-cmd"
    assert understood([*shlex.split(program), host])["userknownhostsfile"] == str(files.known_hosts)
    assert networks == ["10.0.0.9/32", "10.0.0.10/32"]
