-- Who did what to whom, and in which request. Ids only, and no foreign keys: the trail outlives those that it tells of.
CREATE TABLE audit_log (
    id             uuid        NOT NULL DEFAULT gen_random_uuid(),
    at             timestamptz NOT NULL DEFAULT now(),
    action         varchar(32) NOT NULL,
    actor          bigint,
    subject        bigint,
    correlation_id varchar(128),
    details        jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
COMMENT ON TABLE audit_log IS 'Holds ids of users, and never a name, an address or any other personal data.';
CREATE INDEX audit_log_subject_idx ON audit_log (subject, at, id);
CREATE INDEX audit_log_actor_idx ON audit_log (actor, at, id);

-- Takes what no month's partition takes, so that nothing is lost where nobody made one in time.
CREATE TABLE audit_log_default PARTITION OF audit_log DEFAULT;

-- Drops the months that are over for longer than `retention` months, and makes those of this month and the next two.
-- Gives the names of the tables that it made and dropped. Of several at once, each waits for the one before it.
CREATE FUNCTION audit_log_keep(retention integer) RETURNS TABLE (made text[], dropped text[]) LANGUAGE plpgsql AS $$
DECLARE
    this_month date := date_trunc('month', now() AT TIME ZONE 'UTC');
    oldest date := this_month - make_interval(months => retention);
    month date;
    partition text;
BEGIN
    made := '{}';
    dropped := '{}';
    PERFORM pg_advisory_xact_lock(hashtext('audit_log_keep'));
    -- Months are dropped before any is made: writers lock the table before its partitions, and so must this.
    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'audit_log'::regclass AND c.relname ~ '^audit_log_\d{4}_\d\d$'
          AND to_date(right(c.relname, 7), 'YYYY_MM') < oldest
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', partition);
        dropped := dropped || partition;
    END LOOP;
    DELETE FROM audit_log_default WHERE at < oldest::timestamp AT TIME ZONE 'UTC';
    FOR month IN SELECT generate_series(this_month::timestamp, this_month + interval '2 months', interval '1 month') LOOP
        partition := to_char(month, '"audit_log_"YYYY_MM');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        -- What came before its month's partition moves there. Writers wait, before they choose a partition: one that
        -- had chosen the default, and waited for that, would be refused by it afterwards.
        LOCK TABLE ONLY audit_log IN SHARE ROW EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE %I (LIKE audit_log INCLUDING DEFAULTS)', partition);
        EXECUTE format(
            'WITH moved AS (DELETE FROM audit_log_default WHERE at >= %1$L AND at < %2$L RETURNING *)'
            ' INSERT INTO %3$I SELECT * FROM moved',
            month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC', partition
        );
        EXECUTE format(
            'ALTER TABLE audit_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
        made := made || partition;
    END LOOP;
    RETURN NEXT;
END
$$;
SELECT audit_log_keep(24);
