"""Messages owed to systems that want to know how orders stand: built, kept, sent in order until acknowledged."""
