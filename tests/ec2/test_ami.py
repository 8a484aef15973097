"""The image: its template, its units and its scripts, as far as they can be tried without building it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from s4zmq.ec2.naming import Cluster
from s4zmq.ec2.userdata import user_data

AMI = Path(__file__).parent.parent.parent / "ami"
UNITS = ("s4-node.service", "s4-data.service", "s4-shutdown.service", "s4-shutdown.timer")
SCRIPTS = (*sorted(AMI.glob("*.sh")), AMI / "s4-data", AMI / "s4-expire")


def run(*argv: object, path: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """A program, with the fake ones in `path` before the real ones."""
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", **variables}
    words = [str(word) for word in argv]
    return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_the_template_is_valid(tmp_path: Path) -> None:
    (tmp_path / "s4zmq.whl").touch()
    template = tmp_path / "s4.pkr.hcl"
    text = (AMI / "s4.pkr.hcl").read_text()
    assert "imds_support" in text
    template.write_text(re.sub(r"(?ms)^ *# packer >= 1\.7$.*?^ *# end$\n", "", text))
    validate = ("packer", "validate", "-var", f"package={tmp_path / 's4zmq.whl'}", template)
    done = run(*validate)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    template.write_text(template.read_text().replace("ssh_username", "ssh_usernam"))
    assert run(*validate).returncode == 1
    assert run("packer", "fmt", "-check", AMI).returncode == 0


def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    for program in re.findall(
        r"^ExecStart=(\S+)", "".join((AMI / unit).read_text() for unit in UNITS), re.M
    ):
        path = tmp_path / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", path)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(AMI / unit, folder)
    verify = ("systemd-analyze", "verify", f"--root={tmp_path}", *UNITS)
    done = run(*verify)
    assert (done.returncode, done.stderr) == (0, "")
    node = (folder / UNITS[0]).read_text()
    (folder / UNITS[0]).write_text(node.replace("KillMode=", "KilMode="))
    assert "Unknown key" in run(*verify).stderr
    for line in (
        "Type=notify",
        "WatchdogSec=30",
        "Restart=on-failure",
        "KillMode=mixed",
        "OOMPolicy=continue",
    ):
        assert f"\n{line}\n" in node


def test_the_scripts_are_sound() -> None:
    done = run("shellcheck", *SCRIPTS)
    assert (done.returncode, done.stdout) == (0, "")


def programs(folder: Path, **texts: str) -> Path:
    """Fakes that note how they are called, in `calls`, and then do what their text says."""
    folder.mkdir()
    for name, text in texts.items():
        path = folder / name.replace("_", ".")
        path.write_text(f'#!/bin/bash\necho "${{0##*/}} $*" >> {folder}/calls\n{text}\n')
        path.chmod(0o755)
    return folder


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def disks(folder: Path, *held: bool) -> list[Path]:
    """Disks, some of which hold a file system."""
    folder.mkdir()
    made = []
    for number, is_held in enumerate(held):
        made.append(folder / f"disk-{number}")
        with open(made[-1], "wb") as disk:
            disk.truncate(8 << 20)
        if is_held:
            subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", made[-1]], check=True)
    return made


@pytest.mark.parametrize(
    "held", [(), (True,), (False,), (True, False), (False, False), (False, True, False)]
)
def test_only_blank_disks_become_the_data_folder(tmp_path: Path, held: Sequence[bool]) -> None:
    made = disks(tmp_path / "disks", *held)
    before = [disk.read_bytes() for disk in made]
    fakes = programs(
        tmp_path / "programs",
        mountpoint="exit 1",
        udevadm="",
        blkid="exit 2",
        mkfs_xfs="",
        mdadm="",
        mount="",
        chown="",
    )
    variables = {"S4_DATA": str(tmp_path / "data"), "S4_DISKS": str(tmp_path / "disks" / "*")}
    done = run(AMI / "s4-data", path=fakes, **variables)
    assert done.returncode == 0, done
    blank = [str(disk) for disk, is_held in zip(made, held, strict=True) if not is_held]
    device = blank[0] if len(blank) == 1 else "/dev/md/s4"
    made_of = [line for line in calls(fakes) if line.startswith(("mkfs", "mdadm", "mount "))]
    expected = []
    if len(blank) > 1:
        expected.append(
            f"mdadm --create /dev/md/s4 --run --level=0 --raid-devices={len(blank)} {' '.join(blank)}"
        )
    if blank:
        expected += [
            f"mkfs.xfs -q -K -L s4-data {device}",
            f"mount -o noatime {device} {tmp_path / 'data'}",
        ]
    assert made_of == expected
    assert done.stderr.count("left as it is") == sum(held)
    assert ("is a folder on the root file system" in done.stderr) == (not blank)
    assert [disk.read_bytes() for disk in made] == before
    assert (tmp_path / "data").is_dir()


def test_a_disk_that_an_earlier_start_has_formatted_is_mounted_as_it_is(tmp_path: Path) -> None:
    disks(tmp_path / "disks", False)
    fakes = programs(
        tmp_path / "programs",
        mountpoint="exit 1",
        udevadm="",
        blkid="echo /dev/found",
        mkfs_xfs="",
        mount="",
        chown="",
    )
    variables = {"S4_DATA": str(tmp_path / "data"), "S4_DISKS": str(tmp_path / "disks" / "*")}
    assert run(AMI / "s4-data", path=fakes, **variables).returncode == 0
    assert f"mount -o noatime /dev/found {tmp_path / 'data'}" in calls(fakes)
    assert not [line for line in calls(fakes) if line.startswith("mkfs")]


@pytest.mark.parametrize(
    ("seconds", "is_over"), [(60, False), (-1, True), (None, False)], ids=["early", "over", "none"]
)
def test_a_machine_ends_when_its_time_is_over(tmp_path: Path, seconds: int | None, is_over: bool) -> None:
    fakes = programs(tmp_path / "programs", systemctl="")
    if seconds is not None:
        (tmp_path / "deadline").write_text(f"{int(time.time()) + seconds}\n")
    assert run(AMI / "s4-expire", tmp_path / "deadline", path=fakes).returncode == 0
    assert calls(fakes) == (["systemctl poweroff"] if is_over else [])


def test_a_time_that_can_not_be_read_is_over(tmp_path: Path) -> None:
    fakes = programs(tmp_path / "programs", systemctl="")
    (tmp_path / "deadline").write_text("soon\n")
    assert run(AMI / "s4-expire", tmp_path / "deadline", path=fakes).returncode == 0
    assert calls(fakes) == ["systemctl poweroff"]


def test_the_first_start_sets_the_time_and_starts_the_node(tmp_path: Path) -> None:
    fakes = programs(tmp_path / "programs", systemctl="")
    script = user_data(Cluster("taxi", "us-east-1"), 8080, 2.5)
    before = time.time()
    done = run("sh", "-c", script.replace("/etc/s4", str(tmp_path / "etc")), path=fakes)
    assert (done.returncode, done.stderr) == (0, "")
    assert 0 <= int((tmp_path / "etc/deadline").read_text()) - before - 2.5 * 3600 + 1 < 30
    assert (tmp_path / "etc/node.env").read_text().splitlines() == [
        "S4_NODE_OPTIONS=--cluster taxi --port 8080",
        "AWS_DEFAULT_REGION=us-east-1",
    ]
    assert calls(fakes) == [
        "systemctl start s4-shutdown.timer",
        "systemctl start --no-block s4-node.service",
    ]


@pytest.mark.image
def test_a_debian_that_was_provisioned_boots_and_its_node_is_healthy() -> None:
    """Root, a Debian, and some minutes: `pytest -m image -n 0`."""
    done = subprocess.run([AMI / "try_image.sh"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    for seen in (
        "the unit is active",
        "the node is healthy",
        "left as it is",
        "restarted a node that hung",
    ):
        assert seen in done.stdout
