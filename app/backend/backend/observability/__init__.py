"""What operators see: JSON logs, traces, metrics and health."""
