DROP TRIGGER users_status_changed ON users;
DROP FUNCTION accounts_follow_status();
DROP TABLE logins;
DROP TABLE accounts;
