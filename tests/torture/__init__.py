"""Bad input at its full counts, against an acceptor in a process of its own. `make torture` runs it."""
