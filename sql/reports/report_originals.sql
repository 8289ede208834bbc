-- The samples of one dataset that have these ids.
select *
from all_samples
where dataset = $dataset and list_contains($ids, sample_id)
