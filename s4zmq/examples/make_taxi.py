"""Write taxi trips in the form in which the city of New York publishes them, with its quirks: a blank
second line, columns that change over the years, other ends of lines, rows that are cut short or hold
nonsense.

The same seed gives the same bytes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

USAGE = """\
Write taxi trips, a file a month from 2009-01 on.

Usage:
  make_taxi [options] DIR
  make_taxi (-h | --help)

Options:
  --files N         How many files [default: 12].
  --mb-per-file MB  The size of each, about [default: 1].
  --seed SEED       Another seed gives other trips [default: 0].
  -h, --help        Show this.
"""

_MB = 1_000_000
_BAD_EVERY = 101
"""Rows; a prime number, so that the bad ones are not alike."""

_HEADERS = (
    "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,Start_Lon,Start_Lat,"
    "Rate_Code,store_and_forward,End_Lon,End_Lat,Payment_Type,Fare_Amt,surcharge,mta_tax,Tip_Amt,Tolls_Amt,"
    "Total_Amt",
    "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,pickup_latitude,"
    "rate_code,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,surcharge,mta_tax,"
    "tip_amount,tolls_amount,total_amount",
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,pickup_longitude,"
    "pickup_latitude,RateCodeID,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,"
    "extra,mta_tax,tip_amount,tolls_amount,improvement_surcharge,total_amount",
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,"
    "store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
    "improvement_surcharge,total_amount",
)


class Month(NamedTuple):
    """One file."""

    year: int
    month: int

    @property
    def name(self) -> str:
        """As the city names it."""
        return f"yellow_tripdata_{self.year}-{self.month:02}.csv"

    @property
    def era(self) -> int:
        """Which of the headers it has."""
        return (self.year >= 2010) + (self.year >= 2015) + ((self.year, self.month) >= (2016, 7))

    @property
    def end(self) -> str:
        """Of its lines."""
        return "\r\n" if self.year in (2014, 2017) else "\n"

    @property
    def vendors(self) -> Sequence[str]:
        """Names at first, numbers later."""
        return ("VTS", "CMT", "DDS") if self.era < 2 else ("1", "2")


def months(count: int) -> Iterator[Month]:
    """The first `count` months."""
    for number in range(count):
        yield Month(2009 + number // 12, 1 + number % 12)


def lines(month: Month, size_bytes: int, seed: int) -> Iterator[str]:
    """A file's lines with their ends, until they have about `size_bytes`."""
    dice = random.Random(f"{seed} {month}")
    tails = [_tail(dice, month.era) for _ in range(500)]
    yield _HEADERS[month.era].replace(",", ", " if month.year == 2014 else ",") + month.end
    yield month.end
    written = number = 0
    while written < size_bytes:
        number += 1
        row = _row(dice, month) + dice.choice(tails)
        if number % _BAD_EVERY == 0:
            row = _spoilt(row, number // _BAD_EVERY)
        row += month.end
        written += len(row)
        yield row


def _row(dice: random.Random, month: Month) -> str:
    """The five columns that all years have in the same place."""
    year = 2008 if dice.random() < 0.00001 else month.year
    day = f"{year}-{month.month:02}-{dice.randrange(1, 29):02}"
    minute, second = divmod(dice.randrange(3600), 60)
    hour = dice.randrange(23)
    passengers = dice.choices(range(10), (1, 69, 14, 4, 2, 7, 3, 0.01, 0.01, 0.01))[0]
    distance = min(dice.lognormvariate(0.5, 0.9), 99)
    rest = f"{minute:02}:{second:02}"
    ride = f"{day} {hour:02}:{rest},{day} {hour + 1:02}:{rest}"
    return f"{dice.choice(month.vendors)},{ride},{passengers},{distance:.2f}"


def _tail(dice: random.Random, era: int) -> str:
    """What follows them, which nobody here looks at."""
    fare, tip = dice.uniform(2.5, 60), dice.uniform(0, 9)
    money = f"{fare:.1f},0.5,0.5,{tip:.2f},0,"
    if era == 3:
        return f",1,N,{dice.randrange(1, 266)},{dice.randrange(1, 266)},1,{money}0.3,{fare + tip + 1.3:.2f}"
    places = [f"{-73.9 - dice.random() / 10:.6f},{40.7 + dice.random() / 10:.6f}" for _ in range(2)]
    surcharge = "0.3," if era == 2 else ""
    return (
        f",{places[0]},1,N,{places[1]},{'CSH' if era < 2 else '1'},{money}{surcharge}{fare + tip + 1:.2f}"
    )


def _spoilt(row: str, number: int) -> str:
    """A bad row, of three kinds."""
    fields = row.split(",")
    if number % 3 == 0:
        return ",".join(fields[:3])
    if number % 3 == 1:
        return ""
    return ",".join((*fields[:3], "many", *fields[4:]))


def make(folder: Path, files: int, size_bytes: int, seed: int) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for month in months(files):
        with open(folder / month.name, "w", encoding="ascii", newline="") as file:
            file.writelines(lines(month, size_bytes, seed))


def main(argv: list[str]) -> int:
    """The exit status."""
    from docopt import DocoptExit, docopt

    try:
        args = docopt(USAGE, argv)
        files, size, seed = int(args["--files"]), float(args["--mb-per-file"]), int(args["--seed"])
    except (DocoptExit, ValueError) as exc:
        print(f"make_taxi: {exc}", file=sys.stderr)
        return 2
    try:
        make(Path(args["DIR"]), files, int(size * _MB), seed)
    except OSError as exc:
        print(f"make_taxi: can not write {exc.filename}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
