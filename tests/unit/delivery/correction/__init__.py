"""Corrections by order."""
