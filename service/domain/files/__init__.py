"""Files of work sessions, and the store that keeps bytes on disk."""
