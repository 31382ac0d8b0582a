"""The way of ``ship``: source, reference, conversion, proof, timing, choice, bundle."""
