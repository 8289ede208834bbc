-- Every relation and its columns: where a filter's threshold finds what it compares with.
select table_name as relation, column_name as "column"
from duckdb_columns()
where not internal
order by relation, column_index
