"""Tests of broker/inbox."""
