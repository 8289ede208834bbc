-- Samples, children and records of files whose id begins so, and the relation that each is in; a few are enough to say
-- that a beginning is not unique.
select sample_id, 'all_samples' as relation from all_samples where starts_with(sample_id, $id)
union all
select distinct sample_id, 'children' as relation from children where starts_with(sample_id, $id)
union all
select distinct sample_id, 'file_records' as relation from file_records where starts_with(sample_id, $id)
order by sample_id
limit 6
