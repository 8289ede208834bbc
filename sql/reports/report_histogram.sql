-- Kept and dropped samples of one job by the value of one score, in equal bins from low to high; $log: of its
-- natural logarithm.
with measured as (
    select sample_id, min(columns(lambda c: c = $column))::double as value
    from query_table($relation)
    group by sample_id
),
placed as (
    select o.kept, if($log, ln(if(m.value > 0, m.value, null)), m.value) as value
    from outcomes o
    join measured m on m.sample_id = o.sample_id
    where o.job = $job and o.status = 'ok' and isfinite(m.value)
)
select
    least(greatest(floor((value - $low) / ($high - $low) * $bins), 0), $bins - 1)::integer as bin,
    count(*) filter (kept) as kept,
    count(*) filter (not kept) as dropped
from placed
group by bin
order by bin
