DROP INDEX users_created_at_status_idx;
DROP INDEX users_created_at_idx;
DROP INDEX users_email_key;
ALTER TABLE users DROP CONSTRAINT users_pkey;
