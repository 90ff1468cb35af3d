"""Accounts: registration, log-ins, passwords, tokens, and what an operator does to them."""
