"""The HL7 listener and sender on real sockets, with clients of others, with TLS and in a crowd."""
