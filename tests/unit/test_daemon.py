"""The node's command line: its own line in the conf file, its cores, and whom it lets listen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from s4zmq.daemon import check_exposure, commands_at_once, is_local, main, number, own_address
from s4zmq.errors import ConfigError

NODES = ("127.0.0.1:7000", "127.0.0.1:7001", "192.0.2.1:7000", "[::1]:7002")


@pytest.mark.parametrize(
    ("port", "host", "address"),
    [
        ("7000", None, "127.0.0.1:7000"),
        ("7001", None, "127.0.0.1:7001"),
        ("7001", "127.0.0.1", "127.0.0.1:7001"),
    ],
)
def test_a_node_finds_its_own_line(port: str | None, host: str | None, address: str) -> None:
    assert own_address(NODES, port, host) == address


def test_a_node_needs_no_port_where_one_line_fits() -> None:
    assert own_address(("192.0.2.1:7000", "127.0.0.1:7001"), None, None) == "127.0.0.1:7001"


@pytest.mark.parametrize(
    ("port", "host", "why"),
    [
        ("7009", None, "no line of the conf file with port 7009"),
        ("7000", "192.0.2.1", "no line of the conf file with port 7000 with host 192.0.2.1"),
        (None, "127.0.0.1", "2 lines of the conf file"),
        (None, None, "choose one with --port or --host"),
    ],
)
def test_a_node_whose_line_is_not_clear_is_refused(port: str | None, host: str | None, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        own_address(NODES, port, host)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("", False),
    ],
)
def test_an_address_is_local_if_this_machine_can_listen_on_it(host: str, expected: bool) -> None:
    assert is_local(host) is expected


@pytest.mark.parametrize("address", ["127.0.0.1:7000", "localhost:7000", "[::1]:7000", "127.9.9.9:7000"])
def test_loopback_needs_neither_a_key_nor_a_word(address: str) -> None:
    check_exposure(address, is_open=True)


@pytest.mark.parametrize("address", ["0.0.0.0:7000", "192.0.2.1:7000", "[::]:7000"])
def test_any_other_address_needs_a_key_or_the_word_insecure(address: str) -> None:
    with pytest.raises(ConfigError, match=r"`s4 keygen`.*--insecure"):
        check_exposure(address, is_open=True)
    check_exposure(address, is_open=False)


def test_nodes_of_one_machine_share_its_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert commands_at_once(None, "a:1", ("a:1", "b:1")) == cores
    assert commands_at_once(None, "a:1", ("a:1", "a:2", "b:1")) == max(1, cores // 2)
    assert commands_at_once(None, "a:1", tuple(f"a:{port}" for port in range(1, 5000))) == 1
    assert commands_at_once("7", "a:1", ("a:1",)) == 7


@pytest.mark.parametrize("text", ["", "-1", "0", "1025", "x", "1.5", "\uff11", "+1", " 1"])
def test_an_option_that_is_no_number_in_its_range_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--option takes a whole number from 1 to 1024"):
        number(text, "--option", 1, 1024)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--no-such-option"], 2, "Usage:"),
        (["--conf", "/nonexistent/conf"], 1, "s4-node: can not read the conf file /nonexistent/conf"),
    ],
)
def test_a_node_that_can_not_start_says_why(
    capsys: pytest.CaptureFixture[str], words: list[str], status: int, said: str
) -> None:
    assert main(words) == status
    assert said in capsys.readouterr().err


def test_a_node_on_a_port_that_is_taken_ends_with_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "conf").write_text(f"127.0.0.1:{port}\n")
        words = ["--conf", str(tmp_path / "conf"), "--data", str(tmp_path / "data")]
        done = subprocess.run(
            [sys.executable, "-m", "s4zmq.daemon", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"s4-node: can not listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in done.stderr
