ALTER TABLE users
    ADD COLUMN created_by varchar(63) NOT NULL DEFAULT current_user,
    ADD COLUMN updated_by varchar(63) NOT NULL DEFAULT current_user,
    ADD COLUMN version    bigint      NOT NULL DEFAULT 1;

COMMENT ON COLUMN users.version IS 'Counts the writes to the row; tells how fresh a cached copy is.';
