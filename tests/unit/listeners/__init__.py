"""Tests of broker/listeners."""
