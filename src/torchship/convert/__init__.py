"""From a Model to a captured form, and from a form to an artifact: capture, and the diagnosis where it fails."""
