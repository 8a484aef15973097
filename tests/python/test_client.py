"""`s4zmq.Client`: what each method does, and that nothing of it is left over, however it ends."""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import s4zmq
from s4zmq.limits import CHUNK_BYTES, INLINE_MAX_BYTES
from s4zmq.runs import Progress

from ..cluster.kit import commands_running, make_tree, read_tree, some_bytes
from ..harness import Cluster, Node, wait_until
from ..unit.helpers import flip_first_byte

LARGE = some_bytes(3 * CHUNK_BYTES + 5)


def run_python(cluster: Cluster, code: str) -> str:
    """A script in a process of its own, which must succeed; what it prints, with its warnings."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", f"import s4zmq\n{code}"],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# -- values


@pytest.mark.parametrize("size", [0, 1, INLINE_MAX_BYTES, INLINE_MAX_BYTES + 1, len(LARGE)])
def test_a_value_comes_back_whatever_it_was_made_from(s4: s4zmq.Client, tmp_path: Path, size: int) -> None:
    value = LARGE[:size]
    path = tmp_path / "file"
    path.write_bytes(value)
    assert s4.put(value, "s4://b/bytes") == "s4://b/bytes"
    assert s4.put(memoryview(bytearray(value)), "s4://b/view") == "s4://b/view"
    assert s4.put(path, "s4://b/path") == "s4://b/path"
    assert s4.put(str(path), "s4://b/in/") == "s4://b/in/file"
    assert s4.put(io.BytesIO(value), "s4://b/object") == "s4://b/object"
    assert (
        s4.put((value[n : n + 70_000] for n in range(0, size, 70_000)), "s4://b/pieces") == "s4://b/pieces"
    )
    for name in ("bytes", "view", "path", "in/file", "object", "pieces"):
        assert s4.get(f"s4://b/{name}") == value
    s4.get("s4://b/bytes", tmp_path / "out" / "bytes")
    s4.get("s4://b/bytes", f"{tmp_path}/out/")
    assert (tmp_path / "out" / "bytes").read_bytes() == value
    into = io.BytesIO()
    s4.get("s4://b/bytes", into)
    assert into.getvalue() == value


def test_a_key_is_made_once(s4: s4zmq.Client) -> None:
    s4.put(b"first", "s4://b/k")
    for value in (b"second", LARGE):
        with pytest.raises(s4zmq.KeyExists, match="s4://b/k already exists"):
            s4.put(value, "s4://b/k")
    for mode in ("wb", "xb", "w", "x"):
        with pytest.raises(s4zmq.KeyExists):
            s4.open("s4://b/k", mode)
    assert s4.get("s4://b/k") == b"first"


def test_text_is_no_value(s4: s4zmq.Client) -> None:
    for source in (["text"], io.StringIO("text")):
        with pytest.raises(TypeError, match="bytes, not text"):
            s4.put(source, "s4://b/k")  # type: ignore[arg-type, unused-ignore]
    assert not s4.exists("s4://b/k")


def test_a_source_that_is_none_is_refused_by_its_type(s4: s4zmq.Client) -> None:
    for source in (5, None, [1, 2], object()):
        with pytest.raises(TypeError, match=f"what it got is {type(source).__name__}"):
            s4.put(source, "s4://b/k")  # type: ignore[arg-type, unused-ignore]
    with pytest.raises(TypeError, match="a source and then a key"):
        s4.put("s4://b/k", b"value")  # type: ignore[arg-type, unused-ignore]
    with pytest.raises(TypeError, match="a list of paths"):
        s4.map("s4://b/", "s4://c/", "cat", files="script.py")
    assert not s4.exists("s4://b/k")


def test_nothing_is_taken_from_an_iterator_for_a_key_that_is_there(s4: s4zmq.Client) -> None:
    s4.put(b"first", "s4://b/k")
    pieces = iter([b"second"])
    with pytest.raises(s4zmq.KeyExists):
        s4.put(pieces, "s4://b/k")
    assert next(pieces) == b"second"


def test_folders_are_no_keys_and_have_no_time(s4: s4zmq.Client) -> None:
    s4.put(b"", "s4://b/d/k")
    assert [s4.exists(name) for name in ("s4://b/d/k", "s4://b/d/", "s4://b/d", "s4://b")] == [
        True,
        False,
        False,
        False,
    ]
    (folder,) = s4.ls("s4://b/")
    assert (folder.key, folder.modified) == ("s4://b/d/", None)
    with pytest.raises(s4zmq.KeyInvalid, match="does not start with s4://"):
        s4.exists("b/d/k")


def test_a_client_can_be_pickled(s4: s4zmq.Client) -> None:
    s4.put(b"value", "s4://b/k")
    with pickle.loads(pickle.dumps(s4)) as other:
        assert other.get("s4://b/k") == b"value"
    assert s4.get("s4://b/k") == b"value"


def test_a_source_that_fails_leaves_no_key(s4: s4zmq.Client) -> None:
    def pieces() -> object:
        yield LARGE
        raise LookupError

    with pytest.raises(LookupError):
        s4.put(pieces(), "s4://b/k")  # type: ignore[arg-type]
    assert not s4.exists("s4://b/k")


def test_what_is_not_there_is_said(s4: s4zmq.Client) -> None:
    for call in (s4.get, s4.stat, s4.open, s4.rm, lambda key: s4.read(key, 0, 1)):
        with pytest.raises(s4zmq.KeyNotFound, match="no such key: s4://b/none"):
            call("s4://b/none")
    with pytest.raises(s4zmq.KeyInvalid):
        s4.get("s4://b")
    assert not s4.exists("s4://b/none")


def test_facts_of_a_key(s4: s4zmq.Client, cluster: Cluster) -> None:
    s4.put(b"value", "s4://b/k")
    stat = s4.stat("s4://b/k")
    assert (stat.key, stat.size, stat.node) == ("s4://b/k", 5, cluster.owner("k").address)
    made_ns = cluster.owner("k").path_of("s4://b/k").stat().st_mtime_ns
    assert stat.made_ns == made_ns
    assert abs(stat.modified.timestamp() - made_ns / 1e9) < 1e-3
    s4.put(b"value", "s4://b/l")
    assert s4.stat("s4://b/l").digest == stat.digest != s4.stat("s4://b/l").node


def test_listings_have_typed_rows(s4: s4zmq.Client) -> None:
    for name in ("a", "d/b", "d/c"):
        s4.put(name.encode(), f"s4://b/{name}")
    rows = list(s4.ls("s4://b"))
    assert [(row.key, row.size, row.is_folder) for row in rows] == [
        ("s4://b/a", 1, False),
        ("s4://b/d/", 0, True),
    ]
    assert rows[0].modified == s4.stat("s4://b/a").modified
    assert [row.key for row in s4.ls("s4://b/", recursive=True)] == ["s4://b/a", "s4://b/d/b", "s4://b/d/c"]
    assert [row.key for row in s4.ls()] == ["s4://b/"]
    assert list(s4.ls("s4://none/")) == []
    assert (s4.is_folder("s4://b/d"), s4.is_folder("s4://b/a"), s4.is_folder("s4://b/")) == (
        True,
        False,
        True,
    )


def test_keys_are_removed(s4: s4zmq.Client) -> None:
    for name in ("a", "d/b", "d/c"):
        s4.put(b"", f"s4://b/{name}")
    assert s4.rm("s4://b/a") == 1
    assert s4.rm("s4://b/d/", recursive=True) == 2
    assert s4.rm("s4://b/d/", recursive=True) == 0
    with pytest.raises(s4zmq.KeyInvalid, match="every key of the cluster"):
        s4.rm("s4://", recursive=True)


def test_folders_go_in_and_out(s4: s4zmq.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a": b"1", "d/b": b"2", "d/large": LARGE}
    s4.put_tree(make_tree(tmp_path / "in", files), "s4://b/x/")
    with pytest.raises(s4zmq.KeyExists):
        s4.put_tree(tmp_path / "in", "s4://b/x/")
    counts = s4.put_tree(tmp_path / "in", "s4://b/x/", resume=True)
    assert (counts.keys, counts.skipped) == (3, 3)
    s4.get_tree("s4://b/x/", tmp_path / "out")
    assert read_tree(tmp_path / "out") == files
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    s4.get_tree("s4://b/x/", ".")
    assert read_tree(tmp_path / "here") == files
    with pytest.raises(s4zmq.KeyNotFound):
        s4.get_tree("s4://none/", tmp_path / "none")


# -- commands


def test_eval_tells_how_a_command_ended(s4: s4zmq.Client) -> None:
    s4.put(b"hello", "s4://b/k")
    assert s4.eval("s4://b/k", "tr a-z A-Z; echo no >&2; exit 3") == (3, b"HELLO", b"no\n")
    with pytest.raises(s4zmq.CommandFailed, match=r"status 3 on s4://b/k \(node .*:\nno") as failed:
        s4.eval("s4://b/k", "echo no >&2; exit 3", check=True)
    assert failed.value.details["status"] == 3
    assert s4.eval("s4://b/k", "cat", check=True).stdout == b"hello"
    with pytest.raises(s4zmq.KeyNotFound):
        s4.eval("s4://b/none", "cat")


def test_output_comes_while_a_command_runs(s4: s4zmq.Client, cluster: Cluster) -> None:
    s4.put(b"", "s4://b/k")
    with s4.start_eval("s4://b/k", "echo first; sleep 60") as running:
        assert next(running) == (1, b"first\n")
        with pytest.raises(s4zmq.RequestError, match="not read to the end"):
            _ = running.status
    wait_until(lambda: not commands_running(cluster), "the command to be ended")
    with pytest.raises(s4zmq.RequestError, match="ended before it was over"):
        next(running)


def test_more_output_than_a_window_holds_comes_whole(s4: s4zmq.Client) -> None:
    s4.put(b"", "s4://b/k")
    with s4.start_eval("s4://b/k", "head -c 20000000 /dev/zero") as running:
        assert sum(len(output.data) for output in running) == 20_000_000
    assert running.status == 0


def test_an_eval_that_is_forgotten_is_ended(s4: s4zmq.Client, cluster: Cluster) -> None:
    s4.put(b"", "s4://b/k")
    only = [s4.start_eval("s4://b/k", "echo first; sleep 60")]
    assert next(only[0]).data == b"first\n"
    with pytest.warns(ResourceWarning, match="the eval of s4://b/k was never closed"):
        only.clear()
    wait_until(lambda: not commands_running(cluster), "the command to be ended")


def test_the_three_maps(s4: s4zmq.Client, tmp_path: Path) -> None:
    for n in range(3):
        s4.put(f"{n}\n".encode(), f"s4://in/{n}_x")
    news: list[Progress] = []
    summary = s4.map("s4://in/", "s4://out/", "cat; echo end", on_progress=news.append)
    assert (summary.done, summary.bytes, summary.outputs, summary.failed) == (3, 6, 3, 0)
    assert (news[-1].done, news[-1].failed, news[-1].bytes, news[-1].commands) == (3, 0, 6, 3)
    script = tmp_path / "split.py"
    script.write_text("for name in ('a', 'b'):\n    print('x', file=open(name, 'w'))\n    print(name)\n")
    assert s4.map_to_n("s4://out/", "s4://split/", "python3 split.py", files=[script]).outputs == 6
    assert s4.map_from_n("s4://split/", "s4://sum/", "xargs cat | wc -l").outputs == 2
    assert s4.get("s4://sum/a").strip() == b"3"


def test_a_map_that_fails_says_so_and_is_resumed(s4: s4zmq.Client, tmp_path: Path) -> None:
    for n in range(3):
        s4.put(b"%d" % n, f"s4://in/{n}_x")
    command = f"read -r n || true; [ $n != 2 ] || [ -e {tmp_path}/mended ]; echo $n"
    news: list[Progress] = []
    with pytest.raises(s4zmq.CommandFailed, match="status 1 on s4://in/2_x"):
        s4.map("s4://in/", "s4://out/", command, keep_going=True, retries=1, on_progress=news.append)
    assert news[-1][:2] == (2, 1)
    with pytest.raises(s4zmq.KeyExists, match="no command was run"):
        s4.map("s4://in/", "s4://out/", command)
    (tmp_path / "mended").touch()
    assert list(s4.rehearse("map_to_n", "s4://in/", "s4://new/", "ls")) == list(s4.nodes)
    planned = s4.rehearse("map", "s4://in/", "s4://out/", command, resume=True)
    assert [row.complete for row in planned.values()] == [1, 1, 0]
    assert s4.map("s4://in/", "s4://out/", command, resume=True).done == 1
    with pytest.raises(s4zmq.CommandFailed, match="2 inputs failed") as caught:
        s4.map("s4://in/", "s4://bad/", "echo $filename >&2; grep -q 1", keep_going=True)
    told = {(row["key"], row["status"]) for row in caught.value.details["failures"]}
    assert told == {("s4://in/0_x", 1), ("s4://in/2_x", 1)}
    with pytest.raises(s4zmq.CommandFailed, match="ran over its"):
        s4.map("s4://in/", "s4://slow/", "sleep 60", timeout_s=0.1, jobs=1)
    with pytest.raises(s4zmq.RequestError, match="from 0 on"):
        s4.map("s4://in/", "s4://slow/", "cat", retries=-1)


def test_jobs_are_seen_stopped_and_explained(s4: s4zmq.Client, cluster: Cluster) -> None:
    s4.put(b"", "s4://in/k")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(s4.map, "s4://in/", "s4://out/", "sleep 60")
        wait_until(lambda: commands_running(cluster), "the command to run")
        job = s4.jobs().jobs[0]
        assert (job.verb, job.state, job.inputs, job.commands) == ("map", "running", "s4://in/", 1)
        assert s4.cancel(job.job[:12]).job == job.job
        with pytest.raises(s4zmq.S4Error, match="cancelled"):
            running.result(timeout=20)
    assert s4.jobs().jobs[0].state == "cancelled"
    with pytest.raises(s4zmq.CommandFailed):
        s4.map("s4://in/", "s4://out/", "echo why >&2; exit 3")
    [entry] = s4.logs(s4.jobs().jobs[0].job, "s4://in/k").entries
    assert (entry.key, entry.status, entry.stderr) == ("s4://in/k", 3, b"why\n")


def test_an_exception_of_the_caller_ends_the_job(s4: s4zmq.Client, cluster: Cluster) -> None:
    for n in range(20):
        s4.put(b"", f"s4://in/{n}_x")

    def refuse(progress: Progress) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        s4.map("s4://in/", "s4://out/", "[ $filename = 0_x ] || sleep 60", on_progress=refuse)
    wait_until(lambda: not commands_running(cluster), "the commands to be ended")
    s4.put(b"", "s4://in/after")


def test_ctrl_c_in_a_map_ends_the_job(s4: s4zmq.Client, cluster: Cluster) -> None:
    s4.put(b"", "s4://in/k")
    code = """
import s4zmq
with s4zmq.Client() as s4:
    try:
        s4.map("s4://in/", "s4://out/", "sleep 60")
    except KeyboardInterrupt:
        print(s4.get("s4://in/k"))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=cluster.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: commands_running(cluster), "the command to run")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "b''\n"
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not commands_running(cluster), "the command to be ended")


# -- a Client's life


def test_the_cluster_is_found_and_asked(s4: s4zmq.Client, cluster: Cluster, found: None) -> None:
    with s4zmq.Client() as client:
        assert list(client.nodes) == [node.address for node in cluster.nodes]
        assert [row.is_healthy for row in client.health()] == [True, True, True]
        assert [row.is_up for row in client.status()] == [True, True, True]
        s4.put(b"value", "s4://b/k")
        assert sum(row.bytes for row in client.usage("s4://b/")) == 5
        assert repr(client) == f"<s4zmq.Client of {cluster.conf}: 3 nodes>"
    assert repr(client).endswith(", closed>")
    with pytest.raises(s4zmq.ConfigError, match="can not read the conf file /none"):
        s4zmq.Client("/none")
    with s4zmq.Client(cluster.conf, "") as keyless, pytest.raises(s4zmq.AccessDenied):
        keyless.get("s4://b/k")


def test_keys_are_verified(s4: s4zmq.Client, cluster: Cluster) -> None:
    assert s4.verify() == (0, 0, 0, [])
    for name in ("0_k", "1_k"):
        s4.put(b"value", f"s4://b/{name}")
    assert s4.verify("s4://b/") == (2, 10, 0, [])
    flip_first_byte(cluster.nodes[1].path_of("s4://b/1_k"))
    found = s4.verify()
    assert (found.keys, found.damaged) == (2, 1)
    assert found.damages[0].startswith(f"s4://b/1_k on node {cluster.nodes[1].address} is damaged")
    with pytest.raises(s4zmq.ChecksumMismatch) as caught:
        s4.get("s4://b/1_k")
    assert caught.value.details["key"] == "s4://b/1_k"
    assert caught.value.details["node"] == cluster.nodes[1].address
    with pytest.raises(s4zmq.KeyNotFound, match="s4://none"):
        s4.verify("s4://none")


def test_a_closed_client_says_so(cluster: Cluster) -> None:
    client = s4zmq.Client(cluster.conf, cluster.key_path)
    client.put(b"value", "s4://b/k")
    reader = client.open("s4://b/k")
    rows = client.ls("s4://b/")
    client.close()
    client.close()
    assert client.closed
    for call in (
        lambda: client.get("s4://b/k"),
        lambda: client.put(b"", "s4://b/l"),
        lambda: client.eval("s4://b/k", "cat"),
        lambda: client.open("s4://b/k"),
        lambda: next(rows),
        reader.read,
    ):
        with pytest.raises(s4zmq.RequestError, match="this Client is closed"):
            call()
    reader.close()


def test_a_client_that_is_forgotten_is_closed_with_a_warning(cluster: Cluster) -> None:
    only = [s4zmq.Client(cluster.conf, cluster.key_path)]
    only[0].put(LARGE, "s4://b/k")
    with pytest.warns(ResourceWarning, match="a Client of s4zmq was never closed"):
        only.clear()


def test_a_file_keeps_its_client(cluster: Cluster) -> None:
    def reader() -> s4zmq.KeyReader:
        client = s4zmq.Client(cluster.conf, cluster.key_path)
        client.put(LARGE, "s4://b/k")
        return client.open("s4://b/k")

    only = [reader()]
    gc.collect()
    assert only[0].read() == LARGE
    only[0].close()
    with pytest.warns(ResourceWarning, match="never closed"):
        only.clear()


def test_a_process_that_forgets_everything_ends_all_the_same(cluster: Cluster) -> None:
    code = """
s4 = s4zmq.Client()
s4.put(b"x" * 5_000_000, "s4://b/k")
reader, writer, rows = s4.open("s4://b/k"), s4.open("s4://b/new", "wb"), s4.ls("s4://b/")
writer.write(b"x" * 5_000_000)
print(len(reader.read(10)), next(rows).key)
"""
    assert "10 s4://b/k" in run_python(cluster, code)
    assert cluster.keys() == ["s4://b/k"]


def test_a_fork_has_connections_of_its_own(s4: s4zmq.Client, cluster: Cluster) -> None:
    s4.put(LARGE, "s4://b/k")
    code = """
import hashlib, os
s4 = s4zmq.Client()
reader = s4.open("s4://b/k")
head = reader.read(1 << 20) + reader.read(1 << 20)
pid = os.fork()
rest = reader.read()
print(hashlib.md5(head + rest).hexdigest(), s4.exists("s4://b/k"), flush=True)
if pid:
    assert os.waitpid(pid, 0)[1] == 0
reader.close()
s4.close()
"""
    import hashlib

    lines = [line for line in run_python(cluster, code).splitlines() if "True" in line]
    assert lines == [f"{hashlib.md5(LARGE).hexdigest()} True"] * 2


def test_many_threads_share_a_client(s4: s4zmq.Client) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> bool:
        start.wait(timeout=20)
        key = f"s4://threads/{number}"
        value = LARGE[number:]
        s4.put(value, key)
        with s4.open(key) as reader:
            parts = [reader.read(100_000) for _ in range(40)]
        found = [s4.get(key), b"".join(parts), s4.eval(key, "cat").stdout]
        return found == [value] * 3 and s4.rm(key) == 1

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))
    assert list(s4.ls("s4://threads/")) == []


def test_nothing_is_loaded_before_it_is_named(cluster: Cluster) -> None:
    code = """
import sys
assert not any(name.startswith(("zmq", "msgpack", "s4zmq.")) for name in sys.modules), sys.modules
assert {"Client", "KeyNotFound", "Entry"} <= set(dir(s4zmq))
assert s4zmq.KeyNotFound.__module__ == "s4zmq.errors" and "zmq" not in sys.modules
for name in s4zmq.__all__:
    getattr(s4zmq, name)
try:
    s4zmq.none
except AttributeError as error:
    print(error)
"""
    assert run_python(cluster, code) == "module 's4zmq' has no attribute 'none'\n"


def test_memory_of_the_process_is_left_as_it_is(cluster: Cluster) -> None:
    code = """
from s4zmq import memory
memory._libc = None
with s4zmq.Client() as s4:
    s4.put(b"x" * 5_000_000, "s4://b/k")
    print(len(s4.get("s4://b/k")))
"""
    assert run_python(cluster, code) == "5000000\n"


def test_a_node_that_is_gone_is_named_and_asked_again(new_cluster: object) -> None:
    cluster: Cluster = new_cluster(nodes=2)  # type: ignore[operator]
    node: Node = cluster.nodes[1]
    with s4zmq.Client(cluster.conf, cluster.key_path) as s4:
        s4.put(LARGE, "s4://b/1_k")
        reader = s4.open("s4://b/1_k")
        assert reader.read(10) == LARGE[:10]
        node.kill()
        with pytest.raises(s4zmq.NodeUnreachable, match=node.address):
            s4.get("s4://b/1_k")
        node.start()
        cluster.wait_healthy()
        assert reader.read() == LARGE[10:]
        assert s4.get("s4://b/1_k") == LARGE
        reader.close()
    assert os.path.exists(node.path_of("s4://b/1_k"))
