"""The paper that people need: the console settings card, and the sign-off packet. Holds no patient data."""
