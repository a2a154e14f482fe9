CREATE TABLE accounts (
    user_id  bigint       NOT NULL,
    password varchar(255) NOT NULL,
    role     varchar(16)  NOT NULL DEFAULT 'user',
    version  bigint       NOT NULL DEFAULT 1,
    CONSTRAINT accounts_pkey PRIMARY KEY (user_id),
    CONSTRAINT accounts_user_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT accounts_role_known CHECK (role IN ('user', 'auditor', 'admin'))
);
COMMENT ON COLUMN accounts.password IS 'argon2id, in PHC''s string format';
COMMENT ON COLUMN accounts.version IS 'Counts what changed of role, status and logins; tells how fresh a cached session is.';

CREATE TABLE logins (
    id         uuid        NOT NULL,
    user_id    bigint      NOT NULL,
    serial     integer     NOT NULL DEFAULT 0,
    rotated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT logins_pkey PRIMARY KEY (id),
    CONSTRAINT logins_account_fkey FOREIGN KEY (user_id) REFERENCES accounts (user_id) ON DELETE CASCADE
);
COMMENT ON TABLE logins IS 'One row for each login that may still be refreshed.';
COMMENT ON COLUMN logins.serial IS 'Of the one refresh token that is good; an older one is a copy in wrong hands.';
CREATE INDEX logins_user_id_idx ON logins (user_id);
CREATE INDEX logins_expires_at_idx ON logins (expires_at);

-- Whoever is suspended has no session, whichever way the row was changed.
CREATE FUNCTION accounts_follow_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE accounts SET version = version + 1 WHERE user_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER users_status_changed AFTER UPDATE OF status ON users
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION accounts_follow_status();
