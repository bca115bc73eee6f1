"""The only part of the package that accesses the bucket."""
