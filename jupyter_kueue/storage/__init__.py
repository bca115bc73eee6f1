"""The only part of the package that talks to the bucket."""
