"""The broker: a modality worklist and store gateway with test/production cutover."""

__version__ = "0.1.0"
