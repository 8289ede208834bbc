-- How full the packs of the last plan of each mix are: packs and their samples by the tokens that a pack holds.
with plan as (
    select distinct job as mix, digest from runs where latest and kind = 'mix'
),

packs as (
    select mix, digest, pack, sum(n_text_tok + n_img_tok)::bigint as tokens, count(*) as samples
    from mixed
    join plan using (mix, digest)
    where pack is not null
    group by mix, digest, pack
)

select mix, digest, tokens, count(*) as packs, sum(samples)::bigint as samples
from packs
group by mix, digest, tokens
order by mix, digest, tokens desc
