-- What one plan draws and another does not, component by component: draws, tokens, samples in one or in both.
with mine as (
    select coalesce(component, '') as component, sample_id, count(*) as draws, sum(n_text_tok + n_img_tok) as tokens
    from mixed where mix = $mix and digest = $digest and reason is null
    group by all
),
other as (
    select coalesce(component, '') as component, sample_id, count(*) as draws, sum(n_text_tok + n_img_tok) as tokens
    from mixed where mix = $other_mix and digest = $other_digest and reason is null
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
