"""torch.export's ``.pt2``: the ExportedProgram itself."""

GROUP = "server"
