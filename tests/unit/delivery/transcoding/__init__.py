"""Tests of copies in another transfer syntax."""
