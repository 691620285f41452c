"""Tests of the room of performed procedure steps."""
