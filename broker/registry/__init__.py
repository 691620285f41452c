"""Modalities: documents, their revisions named by the hash of the bytes, which one is active, bindings."""
