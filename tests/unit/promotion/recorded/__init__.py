"""Tests of broker/promotion/recorded."""
