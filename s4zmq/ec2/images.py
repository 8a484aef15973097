"""Which image the machines start from."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..aws import aws_errors
from ..errors import AwsMissing
from .account import Account
from .naming import SSH_USER, from_list

NAME = "s4"
"""What the images are called that `ami/` builds; the time follows."""

_SSH_USER = "admin"
_ROOT_GB = 16
_ID = re.compile(r"ami-[0-9a-f]+")


class Image(NamedTuple):
    """An image, as far as a launch must know it."""

    id: str
    name: str
    root_device: str
    root_gb: int
    ssh_user: str
    """Whom it lets in; the tag tells, else it is Debian's."""


def find_image(account: Account, given: str | None) -> Image:
    """The image of that id, or the newest of that name in this account, with or without a time after it.

    Raises AwsMissing.
    """
    wanted = given or NAME
    if _ID.fullmatch(wanted):
        with aws_errors(f"can not use the image {wanted}"):
            found = account.ec2.describe_images(ImageIds=[wanted])["Images"]
    else:
        with aws_errors("can not list images"):
            names = [{"Name": "name", "Values": [wanted, f"{wanted}-2*"]}]
            found = account.ec2.describe_images(Owners=["self"], Filters=names)["Images"]
    if not found:
        raise AwsMissing(
            f"no image {wanted} is in this account in {account.region}: build one (ami/README.md says"
            " how), or name another with --ami"
        )
    return _image(max(found, key=lambda image: (image.get("CreationDate") or "", image.get("Name") or "")))


def _image(found: Any) -> Image:
    root = found.get("RootDeviceName") or "/dev/xvda"
    disks = {one.get("DeviceName"): one.get("Ebs", {}) for one in found.get("BlockDeviceMappings", ())}
    return Image(
        found["ImageId"],
        found.get("Name", ""),
        root,
        max(_ROOT_GB, disks.get(root, {}).get("VolumeSize") or 0),
        from_list(found.get("Tags")).get(SSH_USER, _SSH_USER),
    )
