"""Opens any source as a Model: an ``nn.Module``, its signature, its examples, where it came from. Needs torch."""
