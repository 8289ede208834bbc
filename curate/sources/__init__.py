"""Readers of native formats, one file each; the file name is the name."""
