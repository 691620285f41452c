"""Tests of broker/promotion/checks."""
