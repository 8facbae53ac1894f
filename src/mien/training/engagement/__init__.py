"""Training of engagement models."""
