"""`python -m pipelines`, and the file that `spark-submit` and a bundle's tasks run."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a file, Python sees this folder and not the one that holds the packages.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from pipelines.cli import main

    sys.exit(main())
