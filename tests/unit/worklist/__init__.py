"""Tests of the worklist room."""
