"""What the tests of all parts share: one of each kind, so that a test holds only its own story."""
