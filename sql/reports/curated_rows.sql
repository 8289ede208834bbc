-- What the last run of one job kept and derived, as an exporter takes it.
select job as component, *
from curated
where job = $job
order by dataset, shard, row, recipe, sample_id
