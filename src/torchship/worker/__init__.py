"""One worker does the dirty work: a child process that opens, converts, runs and times, told by JSON lines.

``python -m torchship.worker`` reads a job a line and answers each with one line; arrays go by file. A crash, a hang or
a chatty toolchain costs one answer. ``process.Worker`` is the parent's side.
"""
