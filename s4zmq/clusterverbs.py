"""The commands about nodes: config, health, keygen, up, down, demo and cluster. As `keyverbs`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .usage import Args, client_of, config_of, whole_number

if TYPE_CHECKING:
    from .session import Health


def _config(args: Args) -> int:
    print(config_of(args).roster.text, end="")
    return 0


def _health(args: Args) -> int:
    status = 0
    with client_of(args, if_stopped=True) as client:
        if args["--json"]:
            return _print_health(client.health())
        for health in client.health():
            print(f"{'healthy' if health.is_healthy else 'unhealthy'}: {health.node}")
            if health.reason:
                where = "" if health.node in health.reason else f"{health.node}: "
                print(f"s4: {where}{health.reason}", file=sys.stderr)
            status = status if health.is_healthy else 1
    return status


def _print_health(found: Sequence[Health]) -> int:
    from .jsonlines import print_json
    from .viewprints import health_record

    for health in found:
        print_json(health_record(health))
    return 0 if all(health.is_healthy for health in found) else 1


def _keygen(args: Args) -> int:
    from .clusterkey import write_key
    from .config import new_key_path

    path = new_key_path(args["--key"])
    write_key(path)
    print(f"a new cluster key is in {path}: copy it to all nodes and clients, and to nobody else")
    return 0


def _up(args: Args) -> int:
    from .config import find_conf, find_key, s4_home
    from .embedded import embedded_config, up

    print(up(s4_home(), whole_number(args, "--nodes", 1, 0)))
    config, conf = embedded_config(s4_home()), find_conf(None)
    key_path = find_key(None, conf)
    if (conf, key_path) != (config.path, config.key_path):
        found = f"{conf} and {f'the key {key_path}' if key_path else 'no key'}"
        say = f"-c {config.path} --key {config.key_path or chr(39) * 2}"
        print(f"note: other commands use {found}; for these nodes say {say}", file=sys.stderr)
    return 0


def _down(args: Args) -> int:
    from .config import s4_home
    from .embedded import down

    print(down(s4_home(), purge=args["--purge"]))
    return 0


def _demo(args: Args) -> int:
    from .demo import demo

    return demo()


def _cluster(args: Args) -> int:
    from .config import s4_home
    from .ec2.commands import run

    return run(args, s4_home())


VERBS: Mapping[str, Callable[[Args], int]] = {
    "cluster": _cluster,
    "config": _config,
    "health": _health,
    "keygen": _keygen,
    "up": _up,
    "down": _down,
    "demo": _demo,
}
