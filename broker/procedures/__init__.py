"""Performed procedure steps (MPPS): what modalities say they do, what it means for scheduled steps, and who is told."""
