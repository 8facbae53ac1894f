"""Training of heads: small networks on the features of a model."""
