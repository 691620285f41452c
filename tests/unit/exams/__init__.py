"""Tests of broker/exams."""
