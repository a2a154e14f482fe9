"""Redis: copies of single users. The service works without it, only slower."""
