"""One self-contained HTML page of a bundle: the choice, the figures, what was proven, and some answers. No torch."""

from torchship.report.page import make_page
from torchship.report.writing import check_destination, write_page

__all__ = ["check_destination", "make_page", "write_page"]
