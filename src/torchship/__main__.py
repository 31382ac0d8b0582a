"""``python -m torchship``."""

from torchship.cli.main import main

raise SystemExit(main())
