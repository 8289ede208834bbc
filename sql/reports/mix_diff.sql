-- What one plan draws and another does not, component by component: draws, tokens, samples in one or in both; samples
-- that are merged in one draw are counted one by one, the draw with its first.
with mine as (
    select
        coalesce(m.component, '') as component, m.member as sample_id,
        count(*) filter (m.is_first) as draws, sum(m.n_text_tok + m.n_img_tok) filter (m.is_first) as tokens
    from drawn m where mix = $mix and digest = $digest and reason is null
    group by all
),
other as (
    select
        coalesce(o.component, '') as component, o.member as sample_id,
        count(*) filter (o.is_first) as draws, sum(o.n_text_tok + o.n_img_tok) filter (o.is_first) as tokens
    from drawn o where mix = $other_mix and digest = $other_digest and reason is null
    group by all
)
select
    component,
    coalesce(sum(mine.draws), 0)::bigint as draws, coalesce(sum(other.draws), 0)::bigint as other_draws,
    coalesce(sum(mine.tokens), 0)::bigint as tokens, coalesce(sum(other.tokens), 0)::bigint as other_tokens,
    count(*) filter (other.sample_id is null) as only_here,
    count(*) filter (mine.sample_id is null) as only_there,
    count(*) filter (mine.sample_id is not null and other.sample_id is not null) as in_both
from mine
full join other using (component, sample_id)
group by component
order by component
