-- The candidates of one component of a mix, in an order that no worker can change.
select *
from curated
where job = $job and recipe = $recipe
order by dataset, shard, row, sample_id
