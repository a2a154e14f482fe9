"""Schema migrations: versioned SQL files, recorded in Flyway's history table so that either tool can take over."""
