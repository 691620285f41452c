"""Tests of the HL7 library."""
