"""Card and packet."""
