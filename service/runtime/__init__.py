"""The process: settings, worker processes, deadlines, limits, drain, logs, metrics, traces."""
