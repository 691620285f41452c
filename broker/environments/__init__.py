"""Which world am I: profile files read into frozen values, every mistake at once with file, key and reason."""
