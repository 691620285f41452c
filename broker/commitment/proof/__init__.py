"""As SCU: each delivered instance is asked for until its destination has proven that it keeps it."""
