"""Pipelines over taxi trips, to be run as they stand and to be copied from.

    make_taxi                      writes files like those of the city of New York
    count_by_passengers.sh SRC     how many trips had how many passengers
    partition_by_passengers.sh SRC the trips in files by passengers, spread over all nodes
    sort_by_distance.sh SRC        all trips in order of their distance

SRC is a folder, or s3://bucket/prefix. Each starts with `s4 rm -r` of the buckets that it makes. The other
files are shipped with the commands: they stand alone and import nothing of this package.
"""
