-- What each component brings to one mix: draws, distinct samples, tokens, and candidates left out.
select
    component,
    any_value(job) as job,
    any_value(recipe) as recipe,
    any_value(dataset) as dataset,
    count(*) filter (reason is null) as draws,
    count(distinct sample_id) filter (reason is null) as samples,
    coalesce(sum(n_text_tok) filter (reason is null), 0)::bigint as text_tokens,
    coalesce(sum(n_img_tok) filter (reason is null), 0)::bigint as image_tokens,
    count(*) filter (reason is not null) as left_out
from mixed
where mix = $mix and digest = $digest
group by component
order by component
