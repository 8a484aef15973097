"""The conf file and the cluster key: where they are looked for, what is said of a missing or wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from s4zmq.clusterkey import write_key
from s4zmq.config import (
    Config,
    embedded_conf,
    find_conf,
    find_key,
    key_beside,
    load_config,
    new_key_path,
    s4_home,
)
from s4zmq.errors import ConfigError
from s4zmq.placement import Roster


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any conf file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("S4_CONF_PATH", raising=False)
    monkeypatch.delenv("S4_KEY_PATH", raising=False)
    monkeypatch.delenv("S4_HOME", raising=False)
    return tmp_path


def write_conf(path: Path, port: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"127.0.0.1:{port}\n")
    return path


def test_the_first_of_option_variable_home_and_embedded_wins(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = write_conf(home / ".s4" / "s4.conf", 4)
    assert find_conf(None) == str(embedded)
    in_home = write_conf(home / ".s4.conf", 3)
    assert find_conf(None) == str(in_home)
    by_variable = write_conf(home / "variable.conf", 2)
    monkeypatch.setenv("S4_CONF_PATH", str(by_variable))
    assert find_conf(None) == str(by_variable)
    given = write_conf(home / "given.conf", 1)
    assert find_conf(str(given)) == str(given)
    assert load_config(str(given)) == Config(str(given), Roster(("127.0.0.1:1",)))


def test_a_path_is_made_absolute_so_that_commands_find_the_same_cluster(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    write_conf(home / "my.conf", 1)
    assert load_config("my.conf").path == str(home / "my.conf")
    monkeypatch.setenv("S4_CONF_PATH", "my.conf")
    assert load_config(None).path == str(home / "my.conf")


def test_a_path_through_a_link_keeps_its_meaning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    conf = write_conf(home / "elsewhere" / "my.conf", 1)
    (home / "elsewhere" / "folder").mkdir()
    (home / "link").symlink_to(home / "elsewhere" / "folder")
    assert Path(load_config("link/../my.conf").path).resolve() == conf


def test_an_empty_variable_counts_as_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S4_CONF_PATH", "")
    monkeypatch.setenv("S4_HOME", "")
    in_home = write_conf(home / ".s4.conf", 3)
    assert find_conf(None) == str(in_home)
    assert s4_home() == home / ".s4"


def test_the_embedded_cluster_may_live_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S4_HOME", str(home / "else where"))
    conf = write_conf(home / "else where" / "s4.conf", 5)
    assert embedded_conf(s4_home()) == conf
    assert find_conf(None) == str(conf)


def test_no_conf_at_all_says_what_to_do(home: Path) -> None:
    with pytest.raises(ConfigError, match="s4 up"):
        load_config(None)


def test_a_named_conf_that_is_missing_is_an_error_and_no_other_is_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_conf(home / ".s4.conf", 3)
    with pytest.raises(ConfigError, match=r"nowhere.*No such file"):
        load_config(str(home / "nowhere"))
    monkeypatch.setenv("S4_CONF_PATH", str(home / "nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere.*No such file"):
        load_config(None)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "names no node"), (b"\xff\xfe", "not UTF-8"), (b"a:1\nb\n", "line 2: 'b' is not host:port")],
)
def test_a_bad_conf_is_refused_by_name(home: Path, content: bytes, why: str) -> None:
    conf = home / "bad.conf"
    conf.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"bad\.conf.*{why}"):
        load_config(str(conf))


def test_a_conf_that_is_a_folder_is_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(str(home))


# -- the cluster key


def write_key_file(path: Path) -> Path:
    write_key(str(path))
    return path


def test_the_first_of_option_variable_beside_and_home_wins(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = str(write_conf(home / "my.conf", 1))
    assert find_key(None, conf) == ""
    assert load_config(conf).key is None
    in_home = write_key_file(home / ".s4.key")
    assert find_key(None, conf) == str(in_home)
    beside = write_key_file(home / "my.key")
    assert find_key(None, conf) == str(beside)
    by_variable = write_key_file(home / "variable.key")
    monkeypatch.setenv("S4_KEY_PATH", str(by_variable))
    assert find_key(None, conf) == str(by_variable)
    given = write_key_file(home / "given.key")
    config = load_config(conf, str(given))
    assert config.key_path == str(given)
    assert config.words == ("-c", conf, "--key", str(given))


def test_an_empty_key_is_none_whatever_lies_about(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = str(write_conf(home / "my.conf", 1))
    write_key_file(home / "my.key")
    assert load_config(conf, "").key is None
    assert load_config(conf, "").words == ("-c", conf, "--key", "")
    monkeypatch.setenv("S4_KEY_PATH", "")
    assert load_config(conf).key is None
    assert load_config(conf, str(home / "my.key")).key is not None


def test_a_named_key_that_is_missing_is_an_error_and_no_other_is_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = str(write_conf(home / "my.conf", 1))
    write_key_file(home / "my.key")
    with pytest.raises(ConfigError, match=r"nowhere\.key.*No such file"):
        load_config(conf, str(home / "nowhere.key"))
    monkeypatch.setenv("S4_KEY_PATH", str(home / "nowhere.key"))
    with pytest.raises(ConfigError, match=r"nowhere\.key.*No such file"):
        load_config(conf)


def test_a_key_path_is_made_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    write_conf(home / "my.conf", 1)
    write_key_file(home / "our.key")
    assert load_config("my.conf", "our.key").key_path == str(home / "our.key")


def test_a_new_key_goes_where_commands_look_for_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert new_key_path(None) == str(home / ".s4.key")
    monkeypatch.setenv("S4_KEY_PATH", str(home / "variable.key"))
    assert new_key_path(None) == str(home / "variable.key")
    assert new_key_path(str(home / "given.key")) == str(home / "given.key")


@pytest.mark.parametrize(
    ("conf", "key"), [("/a/s4.conf", "/a/s4.key"), ("/a/b", "/a/b.key"), ("/.conf", "/.key")]
)
def test_the_key_beside_a_conf_has_its_name(conf: str, key: str) -> None:
    assert key_beside(conf) == key
