DROP FUNCTION audit_log_keep(integer);
DROP TABLE audit_log;
