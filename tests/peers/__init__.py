"""The programs that tests and the demo talk to: ours as a process, and those that nobody here wrote."""
