"""What a machine is told of itself by EC2: the metadata service, version 2, which wants a token.

No credentials are read here: boto3 does that by itself.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import AwsUnreachable

_ENDPOINT = "http://169.254.169.254"
_TOKEN_LIFE_S = 60
_TIMEOUT_S = 5.0


class Self(NamedTuple):
    """This machine."""

    instance: str
    address: str
    """Its private IPv4 address."""

    region: str


def endpoint(environ: Mapping[str, str] = os.environ) -> str:
    """The service's URL: boto3 knows the same variable."""
    return (environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _ENDPOINT).rstrip("/")


def read_self(url: str) -> Self:
    """Ask the service at `url`. Raises AwsUnreachable where it does not answer, as outside of EC2."""
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_LIFE_S)}
    token = {"X-aws-ec2-metadata-token": _ask(f"{url}/latest/api/token", lifetime, "PUT")}
    names = ("instance-id", "local-ipv4", "placement/region")
    return Self(*(_ask(f"{url}/latest/meta-data/{name}", token) for name in names))


def _ask(url: str, headers: Mapping[str, str], method: str = "GET") -> str:
    # No proxy: the service is this machine's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return str(answer.read(4096).decode("ascii"))
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise AwsUnreachable(
            f"the metadata service of EC2 does not tell {url}: {reason}: is this a machine on EC2?"
        ) from exc
