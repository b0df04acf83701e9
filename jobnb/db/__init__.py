"""Everything that knows PostgreSQL: the only package that imports SQLAlchemy or psycopg."""
