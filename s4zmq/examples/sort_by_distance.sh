#!/bin/bash
# All trips in order of their distance: a range of distances a file, each sorted where it lies, on all nodes
# at once. Usage: sort_by_distance.sh FOLDER|s3://bucket/prefix
set -eou pipefail
here=$(cd "$(dirname "$0")" && pwd)

s4 rm -r s4://sort-
s4 cp -r "$1" s4://sort-trips/
s4 map s4://sort-trips/ s4://sort-columns/ 'cut -d, -f1-5'
s4 map-to-n --file "$here/split_by_distance.py" s4://sort-columns/ s4://sort-each/ 'python3 split_by_distance.py'
s4 map-from-n s4://sort-each/ s4://sort-result/ 'xargs sort -t, -k5,5n'
s4 ls s4://sort-result/ | awk '{print $3, $4}'
