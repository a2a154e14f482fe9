ALTER TABLE users
    DROP COLUMN version,
    DROP COLUMN updated_by,
    DROP COLUMN created_by;
