"""Measurements against foreign programs; run by hand, never by the tests."""
