"""The command line: one file a command. Each parses, calls one function of the package, and prints."""
