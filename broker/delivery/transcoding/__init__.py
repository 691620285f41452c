"""Copies in another transfer syntax, for destinations that refuse the one received and whose rule allows it."""
