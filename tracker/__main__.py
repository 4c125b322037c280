"""The program: ``tracker``, or ``python -m tracker``."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command line, unless another package that is imported as ``adapters`` is in the way."""
    import adapters
    from tracker.runtime.streams import open_standard_streams

    open_standard_streams()
    if adapters.__file__ is None or Path(adapters.__file__).parents[1] != Path(__file__).parents[1]:
        sys.exit(
            "error: another package is imported as adapters, such as AdapterHub's: use an environment for each, "
            "or pip uninstall adapters and install emotion-tracker again with --force-reinstall"
        )
    from tracker.cli.main import main
    from tracker.runtime.threads import stuck

    try:
        main()
    except SystemExit as ended:
        if stuck():
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else 0)
        raise


if __name__ == "__main__":
    main()
