"""Who may log in to the machines by SSH: a key pair that is made for the cluster, or one of the user's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ..aws import aws_errors
from ..errors import LocalFileError, map_errors
from .account import Account
from .files import Files
from .naming import Cluster, filters_of, specification


def public_key(files: Files, given: str | None) -> str:
    """The public half of the user's key in the file `given`, or of a new one in `files`.

    Raises LocalFileError.
    """
    path = Path(given) if given else _make(files)
    with map_errors({OSError: LocalFileError, UnicodeDecodeError: LocalFileError}, f"can not read {path}"):
        text = path.read_text()
    if not text.startswith(("ssh-ed25519 ", "ssh-rsa ")):
        raise LocalFileError(f"{path} is no public SSH key of the kinds that EC2 takes: ed25519 and RSA")
    return text


def _make(files: Files) -> Path:
    """A key without a passphrase, mode 0600: it opens this cluster alone, and ends with it."""
    argv = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        f"s4-{files.name}",
        "-f",
        str(files.ssh_key),
    ]
    failures = {OSError: LocalFileError, subprocess.CalledProcessError: LocalFileError}
    with map_errors(failures, "can not make an SSH key with ssh-keygen"):
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return files.ssh_public


def import_key(account: Account, cluster: Cluster, public: str, tags: dict[str, str]) -> None:
    """Have AWS let that key in; it is called `cluster.thing`."""
    with aws_errors(f"can not import the SSH key pair {cluster.thing}"):
        account.ec2.import_key_pair(
            KeyName=cluster.thing,
            PublicKeyMaterial=public.encode(),
            TagSpecifications=[specification("key-pair", tags)],
        )


def key_pairs(account: Account, cluster: Cluster, launch: str | None = None) -> list[dict[str, Any]]:
    """The cluster's own."""
    with aws_errors("can not list SSH key pairs"):
        return list(account.ec2.describe_key_pairs(Filters=filters_of(cluster, launch))["KeyPairs"])


def remove_key_pairs(account: Account, cluster: Cluster, launch: str | None) -> list[str]:
    """Delete them; what was deleted."""
    found = key_pairs(account, cluster, launch)
    for pair in found:
        with aws_errors(f"can not delete the SSH key pair {pair['KeyName']}"):
            account.ec2.delete_key_pair(KeyName=pair["KeyName"])
    return [f"SSH key pair {pair['KeyName']}" for pair in found]
