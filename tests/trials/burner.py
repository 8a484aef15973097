"""Uses so many cores as it is told and talks to nobody, until its stdin ends: what a flooder costs the
machine, without the flood."""

from __future__ import annotations

import random
import select
import sys
import time

from . import zmtp
from .nonsense import Nonsense

_BATCH = 50


def main() -> int:
    """`burner CORES`, at most 1"""
    cores = float(sys.argv[1])
    nonsense = Nonsense(random.Random(1), b"digest..")
    started_at, cpu_before = time.monotonic(), time.process_time()
    while not select.select([sys.stdin], [], [], 0 if cores else 1)[0]:
        allowed_s = (time.monotonic() - started_at) * cores
        while cores and time.process_time() - cpu_before < allowed_s:
            for _ in range(_BATCH):
                zmtp.message(nonsense.control()[1])
        time.sleep(0.001)
    return 0


if __name__ == "__main__":
    sys.exit(main())
