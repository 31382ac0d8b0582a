"""AOTInductor: the exported program compiled ahead of time, a shared library in a ``.pt2`` package."""

GROUP = "server"
