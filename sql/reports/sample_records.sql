-- Where a record of a file lies: as the last run of each mix draws it, and as it was measured, `mix` null.
select distinct f.mix, f.component, f.job, f.dataset, f.record_offset, f.record_bytes
from file_records f
left join runs r on r.latest and f.mix = r.job and f.digest = r.digest
where f.sample_id = $id and (f.mix is null or r.job is not null)
order by all
