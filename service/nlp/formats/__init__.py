"""One file per document format, and the child process in which those that need a parser are read."""
