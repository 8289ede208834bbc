"""One verb on one shard; no executor here."""
