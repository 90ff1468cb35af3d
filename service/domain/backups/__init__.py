"""Archives of a database and its files: what they contain, how they are written, read and verified."""
