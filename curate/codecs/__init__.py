"""Written forms of grounded text, one file each; the file name is the name."""
