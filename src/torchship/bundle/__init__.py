"""What lies on disk: the manifest, the files and their hashes, golden samples. Knows no runtime and no torch."""
