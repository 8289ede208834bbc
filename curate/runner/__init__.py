"""Ways to run a phase over its shards."""
