"""Every open port of an environment, and the answers given there. What is done with an input is in `pipeline`."""
