-- What became of every source row in the last run of each job.
select job, dataset, source_key, url, width, height, status, error, reason, kept
from outcomes
