"""Doors to storage, tables, pictures, the web and DuckDB."""
