"""Derived samples: pixels, boxes and words change together; the file name is the name."""
