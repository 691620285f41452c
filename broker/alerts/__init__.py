"""Named events that a person must see, until acknowledged."""
