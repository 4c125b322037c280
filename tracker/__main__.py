"""``python -m tracker`` is ``tracker``."""

from tracker.cli.main import main

main()
