#!/bin/bash
# How many trips had how many passengers. Usage: count_by_passengers.sh FOLDER|s3://bucket/prefix
set -eou pipefail
here=$(cd "$(dirname "$0")" && pwd)

s4 rm -r s4://count-
s4 cp -r "$1" s4://count-trips/
s4 map s4://count-trips/ s4://count-columns/ 'cut -d, -f1-5'
s4 map --file "$here/count_passengers.py" s4://count-columns/ s4://count-each/ 'python3 count_passengers.py'
s4 map-to-n s4://count-each/ s4://count-together/ 'cat > counts && echo counts'
s4 map-from-n --file "$here/merge_counts.py" s4://count-together/ s4://count-result/ \
    'xargs cat | python3 merge_counts.py | sort -t, -nrk2'
s4 cp s4://count-result/counts -
