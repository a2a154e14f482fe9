"""What operators see: JSON logs and health."""
