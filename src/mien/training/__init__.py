"""Training: the only room that knows PyTorch; needs the extra ``train``."""
