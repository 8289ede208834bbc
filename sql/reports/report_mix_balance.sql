-- The load of the busiest rank over the mean rank's along the last plan of each mix, in at most 200 stretches of steps;
-- a last step that lacks packs is left out.
with plan as (
    select distinct job as mix, digest from runs where latest and kind = 'mix'
),

-- Files of older plans lack columns.
ranks as (
    select mix, digest, max("rank") + 1 as ranks
    from (from mixed union all by name select null::integer as "rank" where false)
    join plan using (mix, digest)
    group by mix, digest
),

loads as (
    select
        mix,
        digest,
        step,
        busiest_tokens / (nullif(tokens, 0) / ranks) as tokens,
        busiest_cost / (nullif(cost, 0) / ranks) as cost,
        ceil((max(step) over whole_plan + 1) / 200)::bigint as every
    from steps
    join ranks using (mix, digest)
    window whole_plan as (partition by mix, digest)
    qualify packs = max(packs) over whole_plan and packs % ranks = 0
)

select
    mix,
    digest,
    step // every * every as first_step,
    count(*) as steps,
    median(tokens) as tokens_median,
    max(tokens) as tokens_max,
    median(cost) as cost_median,
    max(cost) as cost_max
from loads
group by mix, digest, first_step
order by mix, digest, first_step
