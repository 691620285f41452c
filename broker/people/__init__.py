"""Who may do what in one environment: users, their roles and tokens. Knows no command."""
