"""Files that trainers read, one writer each; the file name is the name."""
