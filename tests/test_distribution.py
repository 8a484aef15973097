"""What is handed out: the source distribution and the wheel made from it, installed and used elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import s4zmq

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "s4zmq"
NOT_OURS = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")


def run(*words: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel that was made from the source distribution beside it."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(TOP, folder / "copy", ignore=shutil.ignore_patterns(*NOT_OURS))
    run(sys.executable, "-m", "build", "--no-isolation", "-o", folder / "dist", cwd=folder / "copy")
    shutil.rmtree(folder / "copy")
    return folder / "dist"


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with that wheel. What it needs is lent from ours, so that nothing is
    downloaded."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "-q", "--no-deps")
    run(*pip, *built.glob("*.whl"), cwd=built)
    # Only now, or pip would find ours and be content.
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder


def test_its_description_renders_and_its_metadata_are_complete(built: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir(), cwd=built)
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = wheel.read(name).decode()
    assert f"\nVersion: {s4zmq.__version__}\n" in metadata
    assert "\nLicense: MIT\n" in metadata
    for minor in range(10, 15):
        assert f"\nClassifier: Programming Language :: Python :: 3.{minor}\n" in metadata


def test_the_wheel_has_every_file_of_the_package(built: Path) -> None:
    ours = {
        str(path.relative_to(TOP)) for path in PACKAGE.rglob("*") if path.suffix in (".py", ".md", ".sh")
    }
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert ours <= names
    assert "s4zmq/py.typed" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_source_has_what_its_page_and_its_build_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "bin/s4", "man/s4.1", "man/make_page.py"} <= names


def test_it_is_used_far_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("S4_", "PYTHON"))}
    path = f"{installed / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    environment = {**kept, "HOME": str(tmp_path), "PATH": path}

    def types(script: str) -> str:
        return run("bash", "-eu", "-o", "pipefail", "-c", script, cwd=tmp_path, environment=environment)

    found = types("python -c 'import s4zmq; print(s4zmq.__file__)'")
    assert found.startswith(str(installed))
    assert types("s4 --version") == f"s4zmq {s4zmq.__version__}\n"
    try:
        types("s4 up && for i in 0 1 2; do echo $i | s4 cp - s4://in/${i}_x; done")
        types("s4 map s4://in/ s4://out/ 'read x; echo $((x * x))'")
        types("s4 map-to-n s4://out/ s4://split/ 'cat > all; echo all'")
        types("s4 map-from-n s4://split/ s4://sum/ 'xargs cat | wc -l'")
        assert types("s4 eval s4://sum/all cat") == "3\n"
        assert types("s4 eval s4://out/2_x cat") == "4\n"
        assert types("s4 ls -r s4://split/ | wc -l") == "3\n"
    finally:
        types("s4 down --purge")
    assert types(f"cat {installed}/share/man/man1/s4.1") == (TOP / "man" / "s4.1").read_text()
    assert types("s4-node --help").startswith("A node of an s4 cluster.")
    assert types("python -m s4zmq.examples.make_taxi --help")
