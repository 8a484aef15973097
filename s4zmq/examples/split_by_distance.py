"""Rows of trips on stdin; writes `NNN_miles.csv` with the trips of a range of distances each, and prints
the names of the files. In the order of their names they are in the order of distance."""

import sys
from bisect import bisect
from typing import IO

BOUNDS = (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 10)
files: dict[str, IO[str]] = {}
for line in sys.stdin:
    fields = line.split(",")
    try:
        int(fields[3])
        distance = float(fields[4])
    except (IndexError, ValueError):  # the header, the blank line, and bad rows
        continue
    name = f"{bisect(BOUNDS, distance):03}_miles.csv"
    if name not in files:
        files[name] = open(name, "w")  # noqa: SIM115 - closed below, all of them
    files[name].write(line)
for name, file in files.items():
    file.close()
    print(name)
