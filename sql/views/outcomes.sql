-- What became of every source row in the last run of each job: kept, dropped or failed, and why.
-- A good row whose shard is not decided yet has a null in kept.
select
    r.job, s.sample_id, s.dataset, s.shard, s.row, s.source_key, s.url,
    s.images[1].width as width, s.images[1].height as height, s.status, s.error,
    d.reason, d.filter, case when s.status = 'ok' then d.kept else false end as kept
from runs r
join all_samples s on s.dataset = r.dataset
left join decisions d on d.dataset = s.dataset and d.digest = r.decisions and d.sample_id = s.sample_id
where r.latest and r.kind = 'curate'
