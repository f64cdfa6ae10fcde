"""Serves one of `applications` as `sheaf serve` does Sheaf: `python serve.py APPLICATION [NAME=VALUE…]`."""

import sys

from service.kit.errors import StartupFailure
from service.runtime import logs, server


def main(application: str, *changes: str) -> None:
    chosen = dict(change.split("=") for change in changes)
    logs.configure("info", "json")
    try:
        server.run(
            f"tests.live.applications:{application}",
            host=chosen.get("host", "127.0.0.1"),
            port=int(chosen.get("port", "0")),
            workers=int(chosen.get("workers", "1")),
            drain_delay_s=float(chosen.get("drain_delay_s", "0")),
            drain_timeout_s=int(chosen.get("drain_timeout_s", "10")),
            patience_s=float(chosen.get("patience_s", "60")),
            on_ready=lambda url: print(f"Listening on {url}", flush=True),  # noqa: T201 - the contract's line
        )
    except StartupFailure as failure:
        sys.exit(f"sheaf: {failure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
