"""What the sandbox adds to moto, one service a file (or a few files for the large ones)."""
