"""Serves an application of ours as `sheaf serve --workers 1` does Sheaf: `serve MODULE:FUNCTION`."""

import sys

from service.runtime import logs, server


def main(application: str) -> None:
    """Serve until SIGTERM; print `Listening on URL` when it is ready."""
    logs.configure("warning", "json")
    server.run(
        application,
        host="127.0.0.1",
        port=0,
        workers=1,
        drain_delay_s=0,
        drain_timeout_s=5,
        patience_s=10,
        on_ready=lambda url: print(f"Listening on {url}", flush=True),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
