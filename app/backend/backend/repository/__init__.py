"""PostgreSQL: the connection pool and, beside the migrations, all SQL of the service."""
