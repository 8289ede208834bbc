-- The last run of each job, or of one job; jobs that curate first, mixes after them; the latest run first.
select *
from runs
where latest and ($job is null or job = $job)
order by kind = 'mix', run desc, job
