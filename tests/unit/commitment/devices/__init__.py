"""Tests of broker/commitment/devices."""
