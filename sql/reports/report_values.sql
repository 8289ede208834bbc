-- One measured column of a few samples.
select sample_id, min(columns(lambda c: c = $column))::double as value
from query_table($relation)
where list_contains($ids, sample_id)
group by sample_id
