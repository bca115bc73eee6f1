"""What all containers of a pod use. It is copied into the user's image: standard library only."""
