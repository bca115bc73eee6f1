"""What all containers of a pod use. It travels into the user's image: standard library alone."""
