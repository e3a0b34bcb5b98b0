"""`python -m pipelines`, and the file that `spark-submit` and a bundle's tasks run."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a file, Python sees this folder and not the one that holds the packages. Seen, its
    # modules would stand before others' of the same name, such as `databricks`.
    here = Path(__file__).resolve().parent
    others = [place for place in sys.path if not place or Path(place).resolve() != here]
    sys.path[:] = [str(here.parent), *others]
    from pipelines.cli import main

    sys.exit(main())
