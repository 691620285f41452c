"""The MPPS itself, passed on unchanged to other providers: what is owed to whom, and its sending."""
