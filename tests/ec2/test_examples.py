"""The examples in the help of `s4 cluster`, as far as there are machines for them."""

from __future__ import annotations

import shlex

import pytest
from docopt import docopt

from s4zmq.helptexts import EXAMPLES
from s4zmq.usage import USAGE

from .kit import Cloud, Hypervisor, Laptop

OURS = {name.split()[1]: examples for name, examples in EXAMPLES.items() if name.startswith("cluster ")}


def words_of(command: str) -> list[str]:
    """Behind `s4`, up to a pipe."""
    words = shlex.split(command.partition(" | ")[0])
    return words[1:]


def test_a_cluster_lives_from_the_first_example_to_the_last(
    cloud: Cloud, laptop: Laptop, hypervisor: Hypervisor
) -> None:
    laptop.ok(*words_of(OURS["up"][0][1].replace("subnet-1", cloud.subnet))[1:])
    assert len(hypervisor.machines) == 2
    for _, command in OURS["ls"]:
        laptop.ok(*words_of(command)[1:])
    for _, command in OURS["ssh"][1:]:
        assert laptop.ok(*words_of(command)[1:]).stdout
    laptop.ok(*words_of(OURS["down"][1][1])[1:])
    assert cloud.inventory() == cloud.empty


@pytest.mark.parametrize("verb", OURS)
def test_the_words_of_every_example_fit_the_usage(verb: str) -> None:
    for _, command in OURS[verb]:
        if command.startswith("s4 "):
            assert docopt(USAGE, words_of(command))[verb]
