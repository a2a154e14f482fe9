DO $$
BEGIN
    IF EXISTS (SELECT FROM users WHERE starts_with(name, E'\x01') OR starts_with(email, E'\x01')) THEN
        RAISE EXCEPTION 'there are sealed users, which no earlier release can read';
    END IF;
END
$$;
DROP INDEX users_email_mark_key;
ALTER TABLE users
    DROP COLUMN email_mark,
    DROP COLUMN name_mark,
    ALTER COLUMN email TYPE varchar(254),
    ALTER COLUMN name TYPE varchar(100);
