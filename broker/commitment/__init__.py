"""Who keeps what: what destinations prove to us, and what we answer for towards devices (PS3.4 annex J)."""
