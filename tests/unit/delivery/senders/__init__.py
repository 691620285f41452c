"""Senders, each against a peer that answers as told."""
