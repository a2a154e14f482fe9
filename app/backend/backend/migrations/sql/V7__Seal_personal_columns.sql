-- Sealed values are longer than what they hold, whose length the service checks.
ALTER TABLE users
    ALTER COLUMN name TYPE text,
    ALTER COLUMN email TYPE text,
    ADD COLUMN name_mark bytea,
    ADD COLUMN email_mark bytea;
COMMENT ON COLUMN users.name_mark IS 'HMAC of the name: tells whether it is still the same. Null where it was written without PII_KEYS.';
COMMENT ON COLUMN users.email_mark IS 'HMAC of the lower-case address, by which it is found. Null where it was written without PII_KEYS.';

-- What the index on lower(email) is for values that are not sealed.
CREATE UNIQUE INDEX users_email_mark_key ON users (email_mark);
