-- Samples and children whose id begins so; a few are enough to say that a beginning is not unique.
select sample_id, false as derived from all_samples where starts_with(sample_id, $id)
union all
select distinct sample_id, true as derived from children where starts_with(sample_id, $id)
order by sample_id
limit 6
