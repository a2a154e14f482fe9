CREATE TABLE users (
    id         bigint       GENERATED ALWAYS AS IDENTITY,
    name       varchar(100) NOT NULL,
    email      varchar(254) NOT NULL,
    status     varchar(16)  NOT NULL DEFAULT 'active',
    created_at timestamptz  NOT NULL DEFAULT now(),
    updated_at timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT users_status_known CHECK (status IN ('active', 'inactive', 'suspended'))
);
