"""A cluster on EC2: started, found, entered and ended. One room, whose files from the ground up are

    naming      what everything of a cluster is called, and how it is tagged
    waiting     looking again until something is so
    account     the clients of one region
    metadata    what a machine is told of itself
    files       what this machine keeps of a cluster: conf, key, SSH
    network     subnet and security group
    roles       what the machines may do
    images      which image they start from
    keypairs    who may log in
    parameters  the cluster's key and the machines' SSH host keys on their way
    machines    the instances
    userdata    what an instance does at its first start
    discovery   a node finds its peers
    ssh         command lines for ssh and sshuttle
    readiness   waiting until all nodes of a new cluster are healthy
    removal     everything of a cluster goes
    overview    what there is
    launch      everything of a cluster is made, or nothing stays
    entering    ways into one that runs
    commands    `s4 cluster`: words to calls, what is asked and said

Everything carries the cluster's tags from the call that makes it, and nothing without them is touched: so
whatever a launch that failed has made is found again, at whichever instant it failed.
"""
