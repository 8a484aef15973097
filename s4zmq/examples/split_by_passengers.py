"""Rows of trips on stdin; writes `passengers_P_NNN.csv` in as many parts as the argument says, and prints
the names of the files."""

import sys
import zlib
from typing import IO

parts = int(sys.argv[1])
files: dict[str, IO[str]] = {}
for line in sys.stdin:
    try:
        passengers = int(line.split(",")[3])
    except (IndexError, ValueError):  # the header, the blank line, and bad rows
        continue
    name = f"passengers_{passengers}_{zlib.crc32(line.encode()) % parts:03}.csv"
    if name not in files:
        files[name] = open(name, "w")  # noqa: SIM115 - closed below, all of them
    files[name].write(line)
for name, file in files.items():
    file.close()
    print(name)
