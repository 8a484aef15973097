"""Rows of trips on stdin; a line `passengers,trips` for each number of passengers."""

import sys
from collections import Counter

counts: Counter[int] = Counter()
for line in sys.stdin:
    try:
        counts[int(line.split(",")[3])] += 1
    except (IndexError, ValueError):  # the header, the blank line, and bad rows
        continue
for passengers, count in counts.items():
    print(f"{passengers},{count}")
