"""The settings that Production serves."""
