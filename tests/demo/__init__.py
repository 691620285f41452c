"""The main job shown and verified on one machine: `python -m tests.demo`, run by `make demo`."""
