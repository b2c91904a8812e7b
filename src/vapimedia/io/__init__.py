"""Sockets, clock and tasks: everything that touches the outside world."""
