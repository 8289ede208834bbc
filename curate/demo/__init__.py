"""The tiny world: scenes, shards and a dishonest web server, with the truth kept beside them."""
