"""Where a node listens: on the address of its own line, and beyond loopback only with a key or a word."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq.clusterkey import write_key

from ..faults.netns import Network
from ..harness import BIN, wait_until

PLACE, NUMBER = "exposed", 7
PORT = 7000
LISTENS = "0A"


@pytest.fixture
def network() -> Iterator[Network]:
    """A network of its own with one place in it, which has an address that is not loopback's."""
    made = Network({PLACE: NUMBER})
    yield made
    made.remove()


@pytest.fixture
def words(network: Network, tmp_path: Path) -> list[str]:
    """A node at that address, with a home of its own."""
    (tmp_path / "s4.conf").write_text(f"{network.address(PLACE)}:{PORT}\n")
    argv = [str(BIN / "s4-node"), "--conf", str(tmp_path / "s4.conf"), "--data", str(tmp_path / "data")]
    return [*network.words_into(PLACE), "env", f"HOME={tmp_path}", "S4_KEY_PATH=", *argv]


def test_without_a_key_a_node_refuses_to_listen_beyond_loopback_and_says_what_to_do(
    words: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("s4-node: ")
    assert "s4 keygen" in done.stderr
    assert "--insecure" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("how", ["key", "insecure"])
def test_with_a_key_or_the_word_it_listens_at_its_own_address_and_nowhere_else(
    words: list[str], network: Network, tmp_path: Path, how: str
) -> None:
    write_key(str(tmp_path / "my.key"))
    option = ["--key", str(tmp_path / "my.key")] if how == "key" else ["--insecure"]
    node = subprocess.Popen([*words, *option], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_inside(node.pid), "the node to be in its network", 30)
        wait_until(lambda: len(listening(node.pid)) == 2, "the node to listen", 30)
        assert {host for host, _ in listening(node.pid)} == {network.address(PLACE)}
        assert (network.address(PLACE), PORT) in listening(node.pid)
    finally:
        node.terminate()
        assert node.wait(timeout=20) == 0


def is_inside(pid: int) -> bool:
    """Whether a process has left our network for its own; until then it sees what listens in ours."""
    return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses at which anybody in the network of a process takes connections. ZeroMQ listens for IPv4
    with a socket of IPv6, whose address then says so."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == LISTENS:
                host, port = local.split(":")
                found.add((shown(host), int(port, 16)))
    return found


def shown(host: str) -> str:
    """The kernel writes 32 bits at a time, as this machine has them in memory."""
    words = (bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8))
    address = ipaddress.ip_address(b"".join(words))
    return str(getattr(address, "ipv4_mapped", None) or address)
