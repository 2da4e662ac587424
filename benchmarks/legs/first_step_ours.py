"""How soon `tunesmith.tune("reviews")` has done its first training step: notes the time of day then, and ends."""

import os
import sys
import time
from pathlib import Path

from tunesmith import tune
from tunesmith.core.events import Event, Stepped


def main() -> None:
    """Command line: a folder for the run, and the file to write."""
    folder, file = Path(sys.argv[1]), Path(sys.argv[2])

    def progress(event: Event) -> None:
        if isinstance(event, Stepped):
            file.write_text(repr(time.time()), encoding="utf-8")
            os._exit(0)  # the rest of the run is not wanted, nor its goodbye

    tune("reviews", output_dir=str(folder / "run"), progress=progress)


if __name__ == "__main__":
    main()
