"""Background work: the threads and processes that run what the database has queued."""
