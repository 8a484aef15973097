"""What an instance does at its first start. No secret may stand here: every process of it can read this."""

from __future__ import annotations

from .naming import Cluster

_SCRIPT = """\
#!/bin/sh
set -eu
mkdir -p /etc/s4
echo $(($(date +%s) + {seconds})) > /etc/s4/deadline
cat > /etc/s4/node.env << 'END'
S4_NODE_OPTIONS=--cluster {name} --port {port}
AWS_DEFAULT_REGION={region}
END
systemctl start s4-shutdown.timer
systemctl start --no-block s4-node.service
"""


def user_data(cluster: Cluster, port: int, hours: float) -> str:
    """First of all the time at which the machine ends: nothing that fails later leaves it running."""
    return _SCRIPT.format(seconds=round(hours * 3600), name=cluster.name, region=cluster.region, port=port)
