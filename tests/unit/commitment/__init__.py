"""Tests of broker/commitment."""
