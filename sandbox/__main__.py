"""`python -m sandbox` and `hubsync portal`: the sandbox portal for people."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

from sandbox.faults import Faults
from sandbox.limits import Limits
from sandbox.portal import Portal
from sandbox.server import serve


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a portal until Ctrl-C or SIGTERM. Returns the exit code."""
    options = _parser().parse_args(argv)
    started = time.monotonic()
    portal = Portal.example(options.companies, options.seed, token=options.token)
    portal.index_lag = options.index_lag
    portal.latency_seconds = options.latency_ms / 1000
    portal.limits = Limits(
        enabled=not options.no_limits,
        per_ten_seconds=options.per_ten_seconds,
        search_per_second=options.search_per_second,
    )
    if options.fault_rate:
        portal.faults = Faults(options.seed, options.fault_rate)
    stopped = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        with serve(portal, options.port) as server:
            contacts = len(portal.live_ids("contacts"))
            print(
                f"A HubSpot portal with {options.companies} companies and {contacts} "
                f"contacts ({time.monotonic() - started:.1f} s). Copy these two lines:"
                f"\n\nexport SOURCES__HUBSPOT__BASE_URL={server.url}"
                f"\nexport SOURCES__HUBSPOT__ACCESS_TOKEN={portal.token}"
                "\n\nCtrl-C stops it.",
                flush=True,
            )
            while not stopped.wait(0.5):
                pass
            made = sum(server.calls.values())
        print(f"Stopped after {made} API calls.", flush=True)
    except OSError as problem:
        print(
            f"Port {options.port} of 127.0.0.1 cannot be used ({problem.strerror}); "
            "choose another with --port.",
            file=sys.stderr,
        )
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hubsync portal",
        description="A HubSpot portal on this machine, with believable data.",
        epilog="examples:\n"
        "  hubsync portal                             200 companies on port 8765\n"
        "  hubsync portal --companies 5000 --port 0   more of them, on a free port\n"
        "  hubsync portal --fault-rate 0.05           as unreliable as a bad day",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one")
    parser.add_argument("--companies", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same data")
    parser.add_argument("--token", default="demo-token", help="the accepted token")
    parser.add_argument(
        "--index-lag",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long a change takes to reach search",
    )
    parser.add_argument("--no-limits", action="store_true", help="no rate limits")
    parser.add_argument("--per-ten-seconds", type=int, default=190, metavar="N")
    parser.add_argument("--search-per-second", type=int, default=5, metavar="N")
    parser.add_argument("--latency-ms", type=float, default=0.0, metavar="MS")
    parser.add_argument(
        "--fault-rate",
        type=float,
        default=0.0,
        metavar="RATE",
        help="share of requests that fail for a moment, 0 to 1",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
