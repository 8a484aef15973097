"""Lines `what,count` on stdin, from many files; one line for each what."""

import sys
from collections import Counter

total: Counter[str] = Counter()
for line in sys.stdin:
    what, count = line.split(",")
    total[what] += int(count)
for what, trips in total.items():
    print(f"{what},{trips}")
