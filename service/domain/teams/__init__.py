"""Teams, and what is shared with them."""
