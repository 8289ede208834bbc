-- What each filter said of a sample in the last run of each job.
select r.job, v.filter, v.reason
from runs r
join verdicts v on v.dataset = r.dataset and v.digest = r.decisions
where r.latest and v.sample_id = $id
order by r.job, v.place
