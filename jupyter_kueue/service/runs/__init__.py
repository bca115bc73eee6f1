"""Runs: what users do with them, what is known of them, and what keeps that true."""
