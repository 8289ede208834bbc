"""Measurements beside the samples, one file each; the file name is the name."""
