"""What the hospital asked for: messages translated into order changes, and the orders these leave."""
