"""Operators that converters lack or get wrong, put into ones that they have, before they see the program.

One file a family. Each function takes what the operator takes and gives what it gives, in plain real arithmetic; which
of them a target needs is the target's own table.
"""
