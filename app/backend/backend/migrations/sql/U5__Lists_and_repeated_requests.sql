DROP TABLE idempotency_keys;
ALTER TABLE users DROP COLUMN beginnings;
DROP INDEX users_status_created_at_idx;
DROP INDEX users_name_idx;
DROP INDEX users_updated_at_idx;
DROP INDEX users_created_at_idx;
CREATE INDEX users_created_at_idx ON users (created_at);
CREATE INDEX users_created_at_status_idx ON users (created_at, status);
