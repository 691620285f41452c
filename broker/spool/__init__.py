"""Received instances, durable before Success: keep, open, forget. How they lie on disk is `files.py`."""
