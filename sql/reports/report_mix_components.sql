-- What each component brings to the last plan of each mix: the jobs and files, recipes and datasets that its samples
-- are from, draws, distinct samples, tokens, and candidates left out.
with plan as (
    select distinct job as mix, digest from runs where latest and kind = 'mix'
)
select
    mix,
    digest,
    component,
    string_agg(distinct m.job, ', ' order by m.job) as job,
    string_agg(distinct recipe, ', ' order by recipe) as recipe,
    list(distinct dataset order by dataset) as datasets,
    count(*) filter (reason is null) as draws,
    count(distinct sample_id) filter (reason is null) as samples,
    coalesce(sum(n_text_tok) filter (reason is null), 0)::bigint as text_tokens,
    coalesce(sum(n_img_tok) filter (reason is null), 0)::bigint as image_tokens,
    count(*) filter (reason is not null) as left_out
from mixed m
join plan using (mix, digest)
group by mix, digest, component
order by mix, digest, component
