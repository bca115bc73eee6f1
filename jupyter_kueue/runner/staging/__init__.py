"""What both staging containers use. They alone have the bucket's credential."""
