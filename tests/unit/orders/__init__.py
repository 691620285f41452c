"""Tests of broker/orders."""
