-- What each component brings to the last plan of each mix: draws, distinct samples, tokens, and candidates left out.
with plan as (
    select distinct job as mix, digest from runs where latest and kind = 'mix'
)
select
    mix,
    digest,
    component,
    any_value(m.job) as job,
    any_value(recipe) as recipe,
    any_value(dataset) as dataset,
    count(*) filter (reason is null) as draws,
    count(distinct sample_id) filter (reason is null) as samples,
    coalesce(sum(n_text_tok) filter (reason is null), 0)::bigint as text_tokens,
    coalesce(sum(n_img_tok) filter (reason is null), 0)::bigint as image_tokens,
    count(*) filter (reason is not null) as left_out
from mixed m
join plan using (mix, digest)
group by mix, digest, component
order by mix, digest, component
