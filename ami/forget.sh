#!/usr/bin/env bash
# Removes what must not be the same on two machines, or is of no use in an image. For the end of its build.
set -euo pipefail

rm -f /etc/ssh/ssh_host_* # made anew at each machine's first start
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -rf /tmp/s4-image
truncate -s 0 /etc/machine-id
if command -v cloud-init > /dev/null; then
    cloud-init clean --logs
fi
apt-get clean
rm -rf /var/lib/apt/lists/*
