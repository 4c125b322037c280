"""Draw the pictures in docs/pictures: ``python -m tests.pictures [SESSION]``.

The dashboard runs in tmux at three sizes, replaying a session (a made-up one unless a folder is named); what is on
tmux's screen, colours included, becomes an SVG each.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console

from tests.pictures.story import story, write_session
from tests.support.tmux import Tmux

HERE = Path(__file__).parents[2] / "docs" / "pictures"
SIZES = ((80, 24), (120, 40), (200, 60))


def svg(screen: str, size: tuple[int, int]) -> str:
    """A captured screen as a picture."""
    console = Console(
        record=True, file=io.StringIO(), width=size[0], force_terminal=True, color_system="truecolor", _environ={}
    )
    for line in list(AnsiDecoder().decode(screen))[: size[1]]:  # tmux carries styles from line to line
        console.print(line, no_wrap=True, crop=True)
    return console.export_svg(title="tracker", unique_id=f"dashboard-{size[0]}")


def main() -> None:
    """Draw all sizes."""
    with tempfile.TemporaryDirectory() as scratch:
        session = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else write_session(Path(scratch) / "s", story())
        for size in SIZES:
            command = (sys.executable, "-m", "tracker", "replay", str(session), "--mqtt", "off", "--speed", "8")
            with Tmux(*command, folder=Path(scratch), size=size, environment={"COLORTERM": ""}) as terminal:
                terminal.until("the letter", "Anna", "fish", within_s=90)
                screen = terminal.screen(colours=True)
            path = HERE / f"dashboard-{size[0]}x{size[1]}.svg"
            path.write_text(svg(screen, size) + "\n")
            print(path.relative_to(Path.cwd()))


if __name__ == "__main__":
    main()
