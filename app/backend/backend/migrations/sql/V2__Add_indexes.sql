ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id);

-- Addresses that differ only in case reach the same person.
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

CREATE INDEX users_created_at_idx ON users (created_at);
CREATE INDEX users_created_at_status_idx ON users (created_at, status);
