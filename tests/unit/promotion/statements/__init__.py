"""Tests of broker/promotion/statements."""
