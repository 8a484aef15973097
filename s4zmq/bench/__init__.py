"""How fast it is, as a user meets it: `python -m s4zmq.bench`.

Every figure comes from the real command line against real nodes, and stands beside what the machine
itself does in the same run. Every result is checked: a wrong one is an error and not a figure.

    scenarios   what is measured, and the registry of it
    bench       what a scenario is given: a place for keys, timed commands, checks
    machine     the machine's own limits for the same work
    inputs      the files that go in
    commands    running programs, timed, and ending them whatever happens
    cluster     the throw-away nodes, and Ctrl-C that leaves nothing
    report      samples to a table or to JSON

Nothing here is imported by the rest of s4zmq, and nothing of s4zmq is tuned from here.
"""
