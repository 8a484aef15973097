"""The cluster key: who is refused, what nobody can read, where a node listens."""
