"""Reads foreign files by their content, without running or unpacking anything in them; each format has its limits."""
