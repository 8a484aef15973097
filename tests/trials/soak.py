"""Clients that put, get, map, shuffle and delete while nodes are killed, stopped and restarted.

    python -m tests.trials.soak [--minutes 10] [--seed N] [--clients 4] [--nodes 3]

What was confirmed must be there with its bytes until it is deleted; what was not is there whole or
not at all; every command ends in time; every map that failed is finished by `--resume` and leaves
what an undisturbed one leaves; at the end nothing is left over. Prints counts, and exits with 1
where anything of that did not hold. The same seed makes the same choices, but not the same timing.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from ..cluster.kit import make_tree, read_tree
from ..harness import Cluster, wait_until

COMMAND_S = 45.0
"""A command that takes longer hangs. The longest waits out a lease, and twice a silent node."""

RESUMES = 20
SIZES = (0, 1, 500, 70_000, 700_000, 3_000_000)
SPLIT = "while read -r a b; do echo $a $b >> $b; done; ls"


class Ledger:
    """What went well and what did not, of all clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.wrongs: list[str] = []

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def wrong(self, kind: str, what: str) -> None:
        with self._lock:
            self.wrongs.append(f"{kind}: {what}")
            print(f"WRONG {kind}: {what}", flush=True)


class Client(threading.Thread):
    """One user: keys and folders of its own, and a memory of what must be there."""

    def __init__(self, cluster: Cluster, ledger: Ledger, number: int, seed: int, until: float) -> None:
        super().__init__(name=f"client-{number}")
        self._cluster = cluster
        self._ledger = ledger
        self._random = random.Random(f"{seed} {number}")
        self._until = until
        self._bucket = f"s4://client{number}"
        self._folder = cluster.folder / self.name
        self._count = 0
        self.confirmed: dict[str, bytes] = {}
        self.maybe: dict[str, bytes] = {}
        """Puts and deletes that were not confirmed: there whole, or not at all."""

    def run(self) -> None:
        """Random deeds until the time is over."""
        self._folder.mkdir()
        deeds = (
            [self._put] * 5 + [self._get] * 5 + [self._delete] * 2 + [self._tree, self._map, self._shuffle]
        )
        try:
            while time.monotonic() < self._until:
                self._random.choice(deeds)()
        except Exception as exc:
            self._ledger.wrong("broken", f"{self.name}: {exc!r}")

    # -- the command line

    def _s4(self, what: str, *words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            done = self._cluster.s4(*words, stdin=stdin, timeout_s=COMMAND_S)
        except subprocess.TimeoutExpired:
            self._ledger.wrong("hang", f"{self.name} {words}")
            return subprocess.CompletedProcess([], 3, b"", b"s4: hang")
        self._ledger.count(f"{what} {'ok' if not done.returncode else f'status {done.returncode}'}")
        if b"Traceback" in done.stderr or (bool(done.stderr) != bool(done.returncode)):
            self._ledger.wrong("noise", f"{words}: {done.returncode} {done.stderr[-500:]!r}")
        return done

    def _value(self) -> bytes:
        return self._random.randbytes(self._random.choice(SIZES))

    def _new_key(self, what: str) -> str:
        self._count += 1
        return f"{self._bucket}/{what}/{self._random.randint(0, 9)}_{self._count}"

    # -- deeds

    def _put(self) -> None:
        key, value = self._new_key("put"), self._value()
        done = self._s4("put", "cp", "-", key, stdin=value)
        (self.maybe if done.returncode else self.confirmed)[key] = value

    def _get(self) -> None:
        known = {**self.confirmed, **self.maybe}
        if not known:
            return
        key = self._random.choice(sorted(known))
        done = self._s4("get", "cp", key, "-")
        if done.returncode == 0 and done.stdout != known[key]:
            self._ledger.wrong("torn", key)
        elif done.returncode == 1 and key in self.confirmed:
            self._ledger.wrong("lost", f"{key}: {done.stderr!r}")

    def _delete(self) -> None:
        if not self.confirmed:
            return
        key = self._random.choice(sorted(self.confirmed))
        value = self.confirmed.pop(key)
        done = self._s4("rm", "rm", key)
        if done.returncode == 1:
            self._ledger.wrong("lost", f"{key}: {done.stderr!r}")
        elif done.returncode:
            self.maybe[key] = value

    def _tree(self) -> None:
        """A folder in, resumed until it is there, out again, and compared."""
        files = {
            f"{n % 10}_{n}": self._random.randbytes(n % 3000) for n in range(self._random.randint(20, 300))
        }
        source = make_tree(self._folder / "tree", files)
        target = f"{self._bucket}/tree-{self._count}/"
        self._until_done("cp -r", "cp", "-r", "--resume", source, target)
        self._compare(target, files)
        shutil.rmtree(source)
        self._remove(target)

    def _map(self) -> None:
        files = {f"{number}_{number}": b"%d\n" % number for number in range(self._random.randint(5, 40))}
        self._job("map", files, "tr 0-9 a-j", {path: _letters(value) for path, value in files.items()})

    def _shuffle(self) -> None:
        rows = [(n, self._random.randint(0, 5)) for n in range(self._random.randint(20, 200))]
        files = {f"{n}_{n}": b"".join(b"%d %d_k\n" % row for row in rows[n::7]) for n in range(7)}
        parts: dict[str, bytes] = {}
        for path, value in files.items():
            for line in value.splitlines(keepends=True):
                name = f"{path}/{line.split()[1].decode()}"
                parts[name] = parts.get(name, b"") + line
        self._job("map-to-n", files, SPLIT, parts)

    def _job(self, kind: str, files: dict[str, bytes], command: str, expected: dict[str, bytes]) -> None:
        self._count += 1
        source, target = (f"{self._bucket}/{what}-{self._count}/" for what in ("in", "out"))
        local = make_tree(self._folder / "in", files)
        self._until_done("cp -r", "cp", "-r", "--resume", local, source)
        shutil.rmtree(local)
        self._until_done(kind, kind, "--resume", source, target, command)
        self._compare(target, expected)
        self._remove(source)
        self._remove(target)

    def _until_done(self, what: str, *words: object) -> None:
        """Once, and then again for as long as a fault is in the way."""
        error = b""
        for _ in range(RESUMES):
            done = self._s4(what, *words)
            error = done.stderr
            if done.returncode == 0:
                return
            if done.returncode != 3:
                self._ledger.count(
                    f"  {what}: {done.stderr.decode(errors='replace').splitlines()[0][-90:]}"
                )
        self._ledger.wrong("never done", f"{words}: {error!r}")

    def _compare(self, source: str, expected: dict[str, bytes]) -> None:
        copy = self._folder / "copy"
        self._until_done("cp -r", "cp", "-r", "--resume", source, copy)
        found = read_tree(copy)
        if found != expected:
            missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
            self._ledger.wrong("lost or torn", f"{source}: missing {missing[:3]}, more {more[:3]}")
        shutil.rmtree(copy)

    def _remove(self, folder: str) -> None:
        self._until_done("rm -r", "rm", "-r", folder)

    # -- the end

    def check(self) -> None:
        """All nodes are well again: look at every key that this client knows of."""
        for key, value in self.confirmed.items():
            done = self._s4("check", "cp", key, "-")
            if done.returncode or done.stdout != value:
                self._ledger.wrong("lost" if done.returncode else "torn", f"{key}: {done.stderr!r}")
        for key, value in self.maybe.items():
            done = self._s4("check of unconfirmed", "cp", key, "-")
            if done.returncode not in (0, 1) or (done.returncode == 0 and done.stdout != value):
                self._ledger.wrong("torn", f"{key}: {done.stderr!r}")


def _letters(value: bytes) -> bytes:
    return value.translate(bytes.maketrans(b"0123456789", b"abcdefghij"))


class Faults(threading.Thread):
    """Hits one node after the other, and always lets it come back."""

    def __init__(self, cluster: Cluster, ledger: Ledger, seed: int, until: float) -> None:
        super().__init__(name="faults")
        self._cluster = cluster
        self._ledger = ledger
        self._random = random.Random(f"{seed} faults")
        self._until = until

    def run(self) -> None:
        """Until the time is over."""
        while time.monotonic() < self._until:
            time.sleep(self._random.uniform(0.5, 4))  # a time without faults
            node = self._random.choice(self._cluster.nodes)
            what = self._random.choice(["kill", "kill", "stop", "terminate"])
            self._ledger.count(f"fault: {what}")
            rest_s = self._random.choice([0.0, 0.3, 2.0, 9.0])
            if what == "stop":
                node.send(signal.SIGSTOP)
                time.sleep(rest_s)  # the fault
                node.send(signal.SIGCONT)
            else:
                node.kill() if what == "kill" else node.stop()
                time.sleep(rest_s)  # the fault
                node.start()


def soak(folder: Path, seed: int, minutes: float, clients: int, nodes: int) -> Ledger:
    """Run it; what was found."""
    cluster, ledger = Cluster(folder, nodes), Ledger()
    try:
        cluster.start()
        until = time.monotonic() + minutes * 60
        users = [Client(cluster, ledger, number, seed, until) for number in range(clients)]
        faults = Faults(cluster, ledger, seed, until)
        for thread in (*users, faults):
            thread.start()
        for thread in (*users, faults):
            thread.join()
        cluster.wait_healthy()
        for user in users:
            user.check()
        with suppress(AssertionError):
            cluster.assert_no_leftovers()
        for address, left in cluster.leftovers().items():
            ledger.wrong("left over", f"{address}: {left}")
        wait_until(lambda: all(cluster.health()), "all nodes to be healthy")
    finally:
        cluster.stop()
    return ledger


def report(ledger: Ledger, seed: int, minutes: float) -> None:
    """Counts, and what was wrong."""
    for what, count in sorted(ledger.counts.items()):
        print(f"{count:>8}  {what}")
    kinds = Counter(wrong.partition(":")[0] for wrong in ledger.wrongs)
    print(
        f"seed {seed}, {minutes:g} minutes: confirmed keys lost {kinds['lost'] + kinds['lost or torn']},"
        f" torn keys read {kinds['torn']}, leftovers {kinds['left over']}, hangs {kinds['hang']},"
        f" anything else wrong {kinds['noise'] + kinds['never done'] + kinds['broken']}"
    )


def main() -> int:
    """Run the trial; its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int.from_bytes(random.randbytes(4), "big"))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        ledger = soak(Path(folder), options.seed, options.minutes, options.clients, options.nodes)
    report(ledger, options.seed, options.minutes)
    return 1 if ledger.wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
