"""What is recorded of devices for their evidence: answered echoes, settings in force, and what other stages keep."""
