-- How even the steps of the last plan of each mix are: the busiest rank's tokens and cost over the mean rank's, half,
-- 99 in 100 and all of the steps at most so much; a last step that lacks packs is left out.
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
    select mix, digest, ranks, busiest_tokens / (nullif(tokens, 0) / ranks) as tokens, busiest_cost / (nullif(cost, 0) / ranks) as cost
    from steps
    join ranks using (mix, digest)
    qualify packs = max(packs) over (partition by mix, digest) and packs % ranks = 0
)

select
    mix,
    digest,
    ranks,
    count(*) as steps,
    quantile_disc(tokens, 0.5) as tokens_p50,
    quantile_disc(tokens, 0.99) as tokens_p99,
    max(tokens) as tokens_max,
    quantile_disc(cost, 0.5) as cost_p50,
    quantile_disc(cost, 0.99) as cost_p99,
    max(cost) as cost_max
from loads
group by mix, digest, ranks
order by mix, digest
