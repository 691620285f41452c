"""What a person took back: which performed step does not belong to which order, or to none, and why."""
