"""The upper layer's pure parts."""
