"""What happens under faults: the network cut, processes stopped, disks full.

The names of the tests, `test_<fault>_<role>_during_<phase>`, are the list of risks.
"""
