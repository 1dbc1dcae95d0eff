"""`make bench`: ratios measured in one run; the tables go to docs/performance.md.

    make bench                                      all of it, at small sizes
    make bench ARGS="scale --sizes 10000,1000000"
    make bench ARGS="limit --contacts 1000000"

Nothing is asserted: what a ratio is worth depends on what else the machine did.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bench import limit, load, scale, sync
from bench.results import PAGE

PARTS = {"load": load, "sync": sync, "scale": scale, "limit": limit}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="where tables go")
    parser.add_argument("--print", action="store_true", help="print them alone")
    parts = parser.add_subparsers(metavar="PART", dest="part")
    for name, module in PARTS.items():
        summary = str(module.__doc__).splitlines()[0]
        module.add_arguments(parts.add_parser(name, help=summary, description=summary))
    given = parser.parse_args()
    # Stopped like Ctrl-C: no portal, server or resident process may stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    page = None if given.print else given.page
    if given.part is not None:
        PARTS[given.part].run(given, page)
        return
    for name, module in PARTS.items():
        defaults = parser.parse_args([*sys.argv[1:], name])
        module.run(defaults, page)


if __name__ == "__main__":
    main()
