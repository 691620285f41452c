"""Tests of broker/migrations."""
