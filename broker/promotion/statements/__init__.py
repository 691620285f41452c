"""What people say of a device in their own name: that they have seen it do right, or that a check does not apply."""
