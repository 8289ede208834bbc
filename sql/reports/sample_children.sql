-- What the last run of each job derived from a sample, or why it refused to.
select r.job, c.recipe, c.sample_id, c.status, c.error, c.error_detail, c.text
from runs r
join children c on c.dataset = r.dataset and c.digest = r.augmented
where r.latest and c.parent_id = $id
order by r.job, c.recipe
