"""The HTTP interface: one file per noun in the URL; files here never import each other."""
