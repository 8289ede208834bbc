-- Samples of one job that were dropped for one reason, those nearest to the threshold first.
with measured as (
    select sample_id, min(columns(lambda c: c = $column))::double as value
    from query_table($relation)
    group by sample_id
)
select s.*, o.reason as drop_reason, o.filter as drop_filter
from outcomes o
join all_samples s on s.dataset = o.dataset and s.sample_id = o.sample_id
left join measured m on m.sample_id = o.sample_id
where o.job = $job and o.status = 'ok' and not o.kept and o.reason = $reason
order by abs(m.value - $threshold) nulls last, md5(s.sample_id), s.sample_id
limit $limit
