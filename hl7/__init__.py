"""HL7 version 2 as a library: bytes to values and back. Knows nothing of the broker, and only the standard library."""
