"""The command line of a node: options, its own line in the conf file, logging, signals.

What a node does stands in `node`; this room only starts one.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import logs
from .supervisor import Supervisor

if TYPE_CHECKING:
    from .node import Node

USAGE = """\
A node of an s4 cluster.

Usage:
  s4-node [options]
  s4-node (-h | --help)

Options:
  -c PATH, --conf PATH  The conf file: one host:port a line, the same on every machine
                        (else $S4_CONF_PATH, else ~/.s4.conf).
  --port PORT           The port of this node's line in the conf file. Not needed where only one
                        line names an address of this machine.
  --key PATH            The cluster key, a file that `s4 keygen` makes (else $S4_KEY_PATH, else NAME.key
                        beside a conf file NAME.conf, else ~/.s4.key; '' for none).
  --cluster NAME        Find the other nodes by the tag of that cluster on EC2, once, and write conf (else
                        ~/.s4.conf) and key (else beside it); --port is that of all nodes.
  --ssh-host-keys DIR   With --cluster: the public SSH host keys of this machine, to be published for
                        `s4 cluster ssh` [default: /etc/ssh].
  --host HOST           The host of this node's line, where several fit.
  --data DIR            The folder for keys, on ext4, xfs, btrfs or tmpfs [default: s4-data].
  --data-port PORT      The port for bulk data; 0: the kernel chooses [default: 0].
  --max-cpu-jobs N      Commands of maps at once (else the cores, shared with other nodes here).
  --max-io-jobs N       Requests that may use the disk at once [default: 4].
  --metrics-port PORT   Serve metrics for Prometheus on this port; 0: the kernel chooses, and the log says
                        which. Needs prometheus-client.
  --metrics-host HOST   The address for that: whoever reaches it can read them, as they are neither
                        encrypted nor authenticated [default: 127.0.0.1].
  --insecure            Listen on an address other than loopback without a key: whoever can reach it
                        can run commands here.
  -h, --help            Show this.
"""

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run a node until SIGTERM; the exit status."""
    from docopt import DocoptExit, docopt

    from .errors import S4Error

    try:
        args = docopt(USAGE, argv)
    except DocoptExit as exc:
        print(exc, file=sys.stderr)
        return 2
    logs.set_up()
    try:
        return serve(args, Supervisor.take(os.environ))
    except S4Error as error:
        logs.tell_error(error.text)
        return error.exit_status


def serve(args: dict[str, Any], supervisor: Supervisor) -> int:
    """Open the data folder, bind, and serve until drained. Raises S4Error."""
    from .config import load_config
    from .datadir import open_store
    from .descriptors import widen
    from .memory import keep_freed_buffers
    from .node import Node, NodeOptions
    from .processes import Registry, become_subreaper
    from .shell import Shell

    if args["--cluster"]:
        join_cluster(args, supervisor)
    config = load_config(args["--conf"], args["--key"])
    address = own_address(config.roster.nodes, args["--port"], args["--host"])
    check_exposure(address, is_open=not config.key and not args["--insecure"])
    options = NodeOptions(
        address,
        data_port=number(args["--data-port"], "--data-port", 0, 65535),
        commands=commands_at_once(args["--max-cpu-jobs"], address, config.roster.nodes),
        disk_threads=number(args["--max-io-jobs"], "--max-io-jobs", 1, 256),
        key=config.key,
        supervisor=supervisor,
    )
    root = Path(args["--data"]).absolute()
    store = open_store(root, address, config.roster)
    registry = Registry(root)
    registry.kill_left_over()
    become_subreaper()
    keep_freed_buffers()
    widen()
    shell = Shell(registry, config.path, config.key_path)
    with bind_errors(address):
        node = Node(options, config.roster, store, shell, registry)
    if args["--metrics-port"] is not None:
        serve_metrics(args, node)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: node.drain())
    log.info("node %s serves %s %s a cluster key", address, root, "with" if config.key else "without")
    node.run()
    log.info("node %s has drained", address)
    return 0


def serve_metrics(args: dict[str, Any], node: Node) -> None:
    """Raises ConfigError where that can not be done."""
    from .metrics import serve

    host = args["--metrics-host"]
    port = serve(host, number(args["--metrics-port"], "--metrics-port", 0, 65535), node.lookout.measures)
    log.info("metrics are on http://%s:%d/metrics", host, port)


def join_cluster(args: dict[str, Any], supervisor: Supervisor) -> None:
    """Have the options name the conf, the key and the own line of a cluster on EC2. Raises S4Error."""
    from .ec2.discovery import Place, join

    def tell(text: str) -> None:
        log.info("%s", text)
        supervisor.status(text)

    port = number(args["--port"] or "8080", "--port", 1, 65535)
    conf = Path(args["--conf"] or "~/.s4.conf").expanduser().absolute()
    key = Path(args["--key"] or conf.with_suffix(".key")).expanduser().absolute()
    place = Place(conf, key, Path(args["--ssh-host-keys"]))
    args["--host"] = join(args["--cluster"], port, place, tell)
    args["--conf"], args["--key"], args["--port"] = str(conf), str(key), str(port)


def number(text: str, option: str, least: int, most: int) -> int:
    """An option's whole number. Raises ConfigError."""
    from .errors import ConfigError

    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ConfigError(f"{option} takes a whole number from {least} to {most}, not {text!r}")
    return int(text)


def commands_at_once(given: str | None, address: str, nodes: tuple[str, ...]) -> int:
    """Cores, shared between the nodes on this host, at least one; or what was given."""
    if given is not None:
        return number(given, "--max-cpu-jobs", 1, 1024)
    host = address.rpartition(":")[0]
    here = sum(node.rpartition(":")[0] == host for node in nodes)
    return max(1, len(os.sched_getaffinity(0)) // here)


def own_address(nodes: tuple[str, ...], port: str | None, host: str | None) -> str:
    """This node's line: its port and host fit, and the host is an address of this machine.

    Raises ConfigError where none or several fit.
    """
    from .errors import ConfigError

    fitting = [
        node
        for node in nodes
        if port in (None, node.rpartition(":")[2])
        and host in (None, node.rpartition(":")[0])
        and is_local(node.rpartition(":")[0])
    ]
    if len(fitting) == 1:
        return fitting[0]
    asked = "".join(f" with {what} {value}" for what, value in (("port", port), ("host", host)) if value)
    if not fitting:
        raise ConfigError(f"no line of the conf file{asked} names an address of this machine")
    raise ConfigError(
        f"{len(fitting)} lines of the conf file{asked} name an address of this machine"
        f" ({', '.join(fitting[:3])}): choose one with --port or --host"
    )


def is_local(host: str) -> bool:
    """Whether this machine can listen on `host`."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return True
        except OSError:
            continue
    return False


def check_exposure(address: str, *, is_open: bool) -> None:
    """Raises ConfigError for a node that everyone on the network could give commands to: one that is open,
    and listens on more than loopback."""
    from .errors import ConfigError

    if not is_open:
        return
    host = address.rpartition(":")[0].strip("[]")
    addresses = {info[4][0] for info in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)}
    if all(ipaddress.ip_address(found).is_loopback for found in addresses):
        return
    raise ConfigError(
        f"{address} is not a loopback address, and there is no cluster key: whoever can reach it could run"
        " commands on this machine. Make a key with `s4 keygen` and copy it to all machines, or say"
        " --insecure if the network is yours alone"
    )


def bind_errors(address: str) -> Any:
    """A port that is taken is the user's business, not a traceback."""
    import zmq

    from .errors import ConfigError, map_errors

    return map_errors({zmq.ZMQError: ConfigError}, f"can not listen on {address}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
