"""Tests of broker/commitment/proof."""
