"""As SCP: what devices ask us to answer for, what became of it, and the report that each is owed."""
