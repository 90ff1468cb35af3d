"""The HTTP process: listener, admission, start-up, the processes beside it, nginx.conf."""
