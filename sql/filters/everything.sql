-- Keeps every sample: what a job without filters runs.
select sample_id, cast(null as varchar) as reason
from samples
