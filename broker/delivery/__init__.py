"""Instances owed to destinations: routing, states, retry, and the senders."""
