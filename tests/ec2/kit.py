"""A cloud on loopback: EC2, IAM, STS and SSM of moto over HTTP, and machines that really run nodes."""

from __future__ import annotations

import base64
import os
import random
import re
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from ..harness import BIN, Port, wait_until

REGION = "us-east-1"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{id}"
_TOKEN = "a-token"
_SSH = """\
#!/bin/bash
# Stands for ssh: knows hosts as ssh does, and runs the words in the home of the machine's node.
set -eu
printf '%s\\n' "$*" >> "$FAKE_SSH_LOG"
alias="" known="" words=()
while (($#)); do
    case $1 in
        HostKeyAlias=*) alias=${1#*=}; shift ;;
        UserKnownHostsFile=*) known=${1#*=}; known=${known//\\"/}; shift ;;
        --) shift; words=("${@:2}"); break ;;
        *) shift ;;
    esac
done
home=$FAKE_MACHINES/$alias
if ! grep -qxF "$alias $(cat "$home/ssh_host_ed25519_key.pub")" "$known"; then
    echo "Host key verification failed." >&2
    exit 255
fi
line="${words[*]}"
cd "$home"
env -u S4_CONF_PATH -u S4_KEY_PATH HOME="$home" bash -c "${line#sudo -n -H -u s4 }"
"""


class Cloud:
    """moto's server, and what stands in it."""

    def __init__(self, folder: Path) -> None:
        self._log = open(folder / "moto.log", "wb")  # noqa: SIM115  # closed with the server
        self._port = Port()
        self.endpoint = f"http://127.0.0.1:{self._port.number}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("S4_", "AWS_"))},
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        self._server = subprocess.Popen(
            [BIN / "moto_server", "-H", "127.0.0.1", "-p", str(self._port.number)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self.ec2, self.iam, self.ssm = (self._client(name) for name in ("ec2", "iam", "ssm"))

    def _client(self, service: str) -> Any:
        session = boto3.session.Session("test", "test", region_name=REGION)
        return session.client(service, endpoint_url=self.endpoint)

    def wait(self) -> None:
        """Until the server answers."""

        def answers() -> bool:
            assert self._server.poll() is None, "moto's server has ended"
            with suppress(Exception):
                return bool(self.ec2.describe_regions())
            return False

        wait_until(answers, "moto's server", 60)

    def stop(self) -> None:
        self._server.kill()
        self._server.wait()
        self._log.close()
        self._port.release()

    def reset(self) -> None:
        """Everything goes, but an image stands there, and a subnet whose addresses are on loopback."""
        import urllib.request

        urllib.request.urlopen(f"{self.endpoint}/moto-api/reset", data=b"", timeout=30).close()
        for time_of in ("20250101-000000", "20260101-000000"):
            self.image = self.ec2.register_image(
                Name=f"s4-{time_of}", RootDeviceName="/dev/xvda", Architecture="x86_64"
            )["ImageId"]
        self.ec2.create_tags(Resources=[self.image], Tags=[{"Key": "s4-ssh-user", "Value": "debian"}])
        network = f"127.{random.randint(10, 250)}"
        vpc = self.ec2.create_vpc(CidrBlock=f"{network}.0.0/16")["Vpc"]["VpcId"]
        cidr = f"{network}.{random.randint(1, 250)}.0/24"
        self.subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]
        self.empty = self.inventory()

    def instances(self, *states: str) -> list[Any]:
        pages = self.ec2.describe_instances()["Reservations"]
        found = [instance for page in pages for instance in page["Instances"]]
        return [one for one in found if not states or one["State"]["Name"] in states]

    def inventory(self) -> dict[str, list[str]]:
        """Everything that a cluster could have made or left."""
        ec2, iam = self.ec2, self.iam
        return {
            "machines": [one["InstanceId"] for one in self.instances("pending", "running", "stopped")],
            "groups": [group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]],
            "key pairs": [pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]],
            "volumes": [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]],
            "roles": [role["RoleName"] for role in iam.list_roles()["Roles"]],
            "profiles": [
                one["InstanceProfileName"] for one in iam.list_instance_profiles()["InstanceProfiles"]
            ],
            "parameters": [one["Name"] for one in self.ssm.describe_parameters()["Parameters"]],
        }


class Metadata:
    """The metadata service of one machine; version 2 only, as a token is wanted."""

    def __init__(self, instance: str, address: str) -> None:
        told = {"instance-id": instance, "local-ipv4": address, "placement/region": REGION}

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                is_token = self.path == "/latest/api/token"
                self._answer(_TOKEN if is_token and self._header("-ttl-seconds") else None)

            def do_GET(self) -> None:
                if self._header("") != _TOKEN:
                    self.send_error(401)
                    return
                self._answer(told.get(self.path.removeprefix("/latest/meta-data/")))

            def _header(self, end: str) -> str:
                return self.headers.get(f"X-aws-ec2-metadata-token{end}", "")

            def _answer(self, text: str | None) -> None:
                self.send_response(200 if text else 404)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Machine:
    """An instance that runs a node, started by what its user data say."""

    def __init__(self, cloud: Cloud, folder: Path, instance: Any) -> None:
        self.id: str = instance["InstanceId"]
        self.folder: Path = folder / self.id
        self.folder.mkdir(parents=True)
        key = HOST_KEY.format(id=self.id.replace("-", "")).ljust(68, "A")
        (self.folder / "ssh_host_ed25519_key.pub").write_text(f"{key}\n")
        self.metadata = Metadata(self.id, instance["PrivateIpAddress"])
        answer = cloud.ec2.describe_instance_attribute(InstanceId=self.id, Attribute="userData")
        self.user_data = base64.b64decode(answer["UserData"]["Value"]).decode()
        self._environment = {
            **cloud.environment,
            "HOME": str(self.folder),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.url,
        }
        self.start()

    def start(self, *more: str) -> None:
        """Start its node; `more` are options beside those of the user data."""
        options = re.findall(r"^S4_NODE_OPTIONS=(.*)$", self.user_data, re.M)[0].split()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "s4-node", *options, "--data", "data", "--ssh-host-keys", ".", *more],
                stdin=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
            )

    @property
    def log(self) -> str:
        return Path(self.folder, "log").read_text()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        self.metadata.close()


class Hypervisor:
    """Makes a machine of every instance that appears, until it is closed."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self._cloud = cloud
        self._folder = folder
        self.machines: dict[str, Machine] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._is_over.wait(0.4):
            for instance in self._cloud.instances("running"):
                if instance["InstanceId"] not in self.machines:
                    machine = Machine(self._cloud, self._folder, instance)
                    self.machines[machine.id] = machine

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        for machine in self.machines.values():
            machine.close()


class Laptop:
    """The machine of a user: a home folder, credentials, and an ssh that leads to the machines."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "s4-home"
        self.machines = folder / "machines"
        self.ssh_log = folder / "ssh.log"
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.add_program("ssh", _SSH)
        self.environment = {
            **cloud.environment,
            "HOME": str(folder),
            "S4_HOME": str(self.home),
            "PATH": f"{self.programs}:{BIN}:{os.environ['PATH']}",
            "FAKE_SSH_LOG": str(self.ssh_log),
            "FAKE_MACHINES": str(self.machines),
        }

    def add_program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self, *words: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """`s4 cluster WORDS` in the background."""
        return subprocess.Popen(
            [str(BIN / "s4"), "cluster", *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=90)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def answer(self, text: str, *words: object) -> subprocess.CompletedProcess[str]:
        """`s4 cluster WORDS` on a terminal, where somebody types that."""
        ours, theirs = os.openpty()
        try:
            os.write(ours, text.encode())
            with self.start(*words, stdin=theirs) as process:
                out, err = process.communicate(timeout=90)
        finally:
            os.close(ours)
            os.close(theirs)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ok(self, *words: object) -> subprocess.CompletedProcess[str]:
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    def refused(self, *words: object, status: int = 1) -> str:
        """What it said on stderr."""
        done = self.run(*words)
        assert done.returncode == status, (words, done)
        assert "Traceback" not in done.stderr
        assert "s4: " in done.stderr.splitlines()[-1]
        return done.stderr

    def s4(self, *words: str, conf: Path) -> str:
        """`s4 WORDS` for that cluster; it must succeed."""
        argv = [str(BIN / "s4"), "-c", str(conf), *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=self.environment, timeout=60, check=False, input="x\n"
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def clusters(self) -> list[str]:
        """What is kept of clusters."""
        folder = self.home / "clusters"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def tags_of(found: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
