"""Messages and what they say about orders and patients."""
