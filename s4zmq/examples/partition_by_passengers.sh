#!/bin/bash
# The trips in files by passengers, 12 parts each, spread over all nodes.
# Usage: partition_by_passengers.sh FOLDER|s3://bucket/prefix
set -eou pipefail
here=$(cd "$(dirname "$0")" && pwd)

s4 rm -r s4://partition-
s4 cp -r "$1" s4://partition-trips/
s4 map s4://partition-trips/ s4://partition-columns/ 'cut -d, -f1-5'
s4 map-to-n --file "$here/split_by_passengers.py" s4://partition-columns/ s4://partition-each/ \
    'python3 split_by_passengers.py 12'
s4 map-from-n s4://partition-each/ s4://partition-result/ 'xargs cat'
s4 ls s4://partition-result/ | awk '{print $3, $4}'
