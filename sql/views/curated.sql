-- What the last run of each job kept, and what it derived from that: one row per usable sample.
select r.job, '' as recipe, cast(null as varchar) as augmented, s.*
from runs r
join decisions d on d.dataset = r.dataset and d.digest = r.decisions
join all_samples s on s.dataset = d.dataset and s.sample_id = d.sample_id
where r.latest and d.kept
union all by name
select r.job, c.recipe, c.digest as augmented, c.* exclude (digest, recipe)
from runs r
join children c on c.dataset = r.dataset and c.digest = r.augmented
where r.latest and c.status = 'ok'
