"""What people see: pages and papers, looked at by programs that nobody here wrote."""
