"""How fast it is, as a user meets it: `python -m s4zmq.bench`.

Every figure comes from the real command line against real nodes, and stands beside what the machine
itself does in the same run. Every result is checked: a wrong one is an error and not a figure.

    scenarios   the registry of what is measured
    values trees jobs latency memory growth scale      the scenarios, by what they are about
    sizes       how much of everything: default, --quick, --full
    bench       what a scenario is given: a place for keys, timed commands, checks
    machine     the machine's own limits for the same work
    echo        a bare ROUTER, the limit of a ping
    inputs      the files that go in
    commands    running programs, timed, and ending them whatever happens
    cluster     the throw-away nodes, and Ctrl-C that leaves nothing
    procfs      what the kernel counts for a process: memory, CPU
    sampler     runs s4 or a node, and notes which functions use the CPU
    profiling   what was sampled, to a table
    report      samples to a table or to JSON
    plot        the report as one picture

Nothing here is imported by the rest of s4zmq, and nothing of s4zmq is tuned from here.
"""
