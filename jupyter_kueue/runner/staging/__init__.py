"""What both staging containers use. Only they have the bucket's credentials."""
