-- Kept and dropped samples of one job by the value of one score, in equal bins from low to high.
with measured as (
    select sample_id, min(columns(lambda c: c = $column))::double as value
    from query_table($relation)
    group by sample_id
)
select
    least(greatest(floor((m.value - $low) / ($high - $low) * $bins), 0), $bins - 1)::integer as bin,
    count(*) filter (o.kept) as kept,
    count(*) filter (not o.kept) as dropped
from outcomes o
join measured m on m.sample_id = o.sample_id
where o.job = $job and o.status = 'ok' and isfinite(m.value)
group by bin
order by bin
