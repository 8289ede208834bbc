-- Where the values of one score lie, how many samples have none, and how many stand within one step of a threshold.
with measured as (
    select sample_id, min(columns(lambda c: c = $column))::double as value
    from query_table($relation)
    group by sample_id
),
scored as (
    select if(isfinite(m.value), m.value, null) as value
    from outcomes o
    left join measured m on m.sample_id = o.sample_id
    where o.job = $job and o.status = 'ok'
),
span as (
    select
        least(quantile_cont(value, 0.002), $threshold::double) as low,
        greatest(quantile_cont(value, 0.998), $threshold::double) as high,
        min(value) as least,
        median(value) as middle
    from scored
),
stepped as (
    -- A power of ten: about a fifteenth of the range, and small beside the threshold itself.
    select
        low, high, least, middle,
        least(
            pow(10, floor(log10(greatest(high - low, 1e-9) / 15))),
            pow(10, floor(log10(if($threshold = 0, 1, abs($threshold) / 4) + 1e-12)))
        ) as step
    from span
)
select
    low, high, least, middle, step,
    count(value) as scored,
    count(*) - count(value) as unscored,
    count(*) filter (value < $threshold) as under,
    count(*) filter (value >= $threshold - step and value < $threshold) as just_under,
    count(*) filter (value >= $threshold and value < $threshold + step) as just_over
from scored, stepped
group by all
