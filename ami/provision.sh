#!/usr/bin/env bash
# Makes a Debian or Ubuntu machine one that can be a node of s4. May be run again, with a newer package too.
#
#   provision.sh PACKAGE    a wheel, an sdist, or the folder of the source
set -euo pipefail

package=$(realpath -- "${1:?provision.sh needs a wheel, an sdist or the folder of the source}")
here=$(dirname -- "$(realpath -- "$0")")
export DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1

programs() { # bash, coreutils and their like are there; these are what the node and its commands call
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends \
        bsdextrautils ca-certificates mdadm openssh-server pypy3 python-is-python3 python3-venv sudo udev xfsprogs
    apt-get install -qq -y --no-install-recommends awscli || aws_from_python
}

aws_from_python() { # Ubuntu 24.04 has no such package
    [[ -x /opt/aws/bin/aws ]] || python3 -m venv /opt/aws
    /opt/aws/bin/pip install -q awscli
    ln -sfn /opt/aws/bin/aws /usr/local/bin/aws
}

user() {
    id s4 > /dev/null 2>&1 ||
        useradd --system --user-group --create-home --home-dir /var/lib/s4 --shell /bin/bash s4
    chmod 0750 /var/lib/s4 # the cluster's key is below
}

package() {
    [[ -x /opt/s4/bin/python ]] || python3 -m venv /opt/s4
    /opt/s4/bin/pip install -q --upgrade "$package"
    /opt/s4/bin/pip install -q --force-reinstall --no-deps "$package" # the same version with other bytes
    ln -sfn /opt/s4/bin/s4 /usr/local/bin/s4
    ln -sfn /opt/s4/bin/s4-node /usr/local/bin/s4-node
}

settings() {
    install -d -m 0755 /etc/s4 /opt/s4/libexec
    install -m 0644 "$here/s4.sysctl" /etc/sysctl.d/60-s4.conf
    install -m 0644 "$here/s4.limits" /etc/security/limits.d/60-s4.conf
}

units() {
    install -m 0755 "$here/s4-data" "$here/s4-expire" /opt/s4/libexec/
    for unit in s4-node.service s4-data.service s4-shutdown.service s4-shutdown.timer; do
        install -m 0644 "$here/$unit" "/etc/systemd/system/$unit"
    done
    systemctl enable -q s4-data.service s4-node.service s4-shutdown.timer
}

programs
user
package
settings
units
/opt/s4/bin/s4 --version
