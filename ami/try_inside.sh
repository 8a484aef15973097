#!/usr/bin/env bash
# Runs inside the guest of try_image.sh and says on the console what it sees. Its last line is the verdict.
set -euo pipefail
trap 'echo "s4-try: failed in line $LINENO"; systemctl status --no-pager s4-node s4-data; journalctl -b -u s4-node -u s4-data --no-pager | tail -n 30' ERR

say() { echo "s4-try: $(cut -d' ' -f1 /proc/uptime) s: $*"; }
as_s4() { runuser -u s4 -- "$@"; }

wait_for() { # WHAT COMMAND...: until it succeeds
    local what=$1
    shift
    for _ in {1..240}; do
        if "$@" > /dev/null 2>&1; then
            say "$what"
            return
        fi
        sleep 0.5
    done
    say "timed out: $what"
    return 1
}

export S4_CONF_PATH=/etc/s4/s4.conf
wait_for "the unit is active" systemctl is-active s4-node
wait_for "the node is healthy" as_s4 s4 health
say "$(as_s4 s4 health)"
say "$(findmnt -n -o TARGET,SOURCE,FSTYPE,OPTIONS /mnt/s4)"
say "disks: $(lsblk -n -l -o NAME,SERIAL,FSTYPE,MOUNTPOINTS | tr -s ' \n' ' ,')"
say "$(journalctl -b -u s4-data -o cat --no-pager | grep 'left as it is')"
echo hello | as_s4 s4 cp - s4://in/1_key
as_s4 s4 map s4://in/ s4://out/ 'tr a-z A-Z; id -un; ulimit -n; pypy3 -c "print(6 * 7)"; command -v aws; touch /tmp/x; env | grep -c -E "NOTIFY|WATCHDOG" || true'
say "$(as_s4 s4 cp s4://out/1_key - | tr '\n' ' ')"
say "errors in the journal: $(journalctl -b -u s4-node -p err -o cat --no-pager | wc -l); notices: $(journalctl -b -u s4-node -p info -o cat --no-pager | grep -c s4zmq)"

before=$(systemctl show -P NRestarts s4-node)
systemctl kill --kill-whom=main -s STOP s4-node
restarted() { (($(systemctl show -P NRestarts s4-node) > before)); }
wait_for "the watchdog has restarted a node that hung" restarted
wait_for "it is healthy again" as_s4 s4 health
say "$(as_s4 s4 cp s4://in/1_key -)"

systemctl stop s4-node
[[ $(systemctl show -P Result s4-node) == success ]]
say "it stopped as $(systemctl show -P Result s4-node)"
echo $(($(date +%s) + 3600)) > /etc/s4/deadline
/opt/s4/libexec/s4-expire
[[ $(systemctl list-jobs --no-legend) != *poweroff* ]]
systemctl is-active s4-shutdown.timer > /dev/null
say "the timer of the shutdown is active, and an hour is not over"
echo "s4-try: all is well"
