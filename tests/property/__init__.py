"""Properties of whole histories."""
