"""The pages for people: server-rendered shells, and scripts that call the public API only."""
