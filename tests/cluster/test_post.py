"""The `s4` lines of the post that describes the system, typed into a shell."""

from __future__ import annotations

from ..harness import Cluster

HAS_KEY = (True, False)

SHOW = """
for key in $(s4 ls -r s4://{0}/ | awk '{{print $NF}}'); do
  echo $key '=>' $(s4 eval s4://{0}/$key cat)
done
"""


def test_the_three_maps_give_what_the_post_prints(cluster: Cluster) -> None:
    cluster.bash(
        """
        echo input_a | s4 cp - s4://inputs/000_machine0
        echo input_b | s4 cp - s4://inputs/001_machine1
        s4 map s4://inputs/ s4://mapped/ "sed s/input/output/"
        """
    )
    assert cluster.bash(SHOW.format("mapped")) == ("000_machine0 => output_a\n001_machine1 => output_b\n")
    cluster.bash(
        """
        s4 map-to-n s4://inputs/ s4://shuffled/ '
        cat > content
        for i in {2..3}; do
        file=$(printf "%03d" $i)_machine$i
        echo -n "$(cat content)$i" > $file
        echo $file
        done
        '
        """
    )
    assert cluster.bash(SHOW.format("shuffled")) == (
        "000_machine0/002_machine2 => input_a2\n"
        "000_machine0/003_machine3 => input_a3\n"
        "001_machine1/002_machine2 => input_b2\n"
        "001_machine1/003_machine3 => input_b3\n"
    )
    cluster.bash('s4 map-from-n s4://shuffled/ s4://merged/ "xargs cat"')
    assert cluster.bash(SHOW.format("merged")) == (
        "002_machine2 => input_a2input_b2\n003_machine3 => input_a3input_b3\n"
    )
