"""What was rehearsed: kept, and shown with each plan."""
