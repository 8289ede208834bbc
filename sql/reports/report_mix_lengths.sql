-- How long the draws of each component are, in the last plan of each mix: draws, tokens and tokens that are learnt, in
-- bins of a 32nd of the power of two that holds the fullest pack.
with plan as (
    select distinct job as mix, digest from runs where latest and kind = 'mix'
),

-- Files of older plans lack columns.
sized as (
    select mix, digest, component, pack, reason, greatest(n_text_tok + n_img_tok, 1) as length, n_label_tok as labels
    from (from mixed union all by name select null::integer as n_label_tok where false)
    join plan using (mix, digest)
),

packs as (
    select mix, digest, sum(length) as tokens from sized where pack is not null group by mix, digest, pack
),

bins as (
    select mix, digest, greatest(2 ** ceil(log2(max(tokens))) / 32, 1)::bigint as width from packs group by mix, digest
)

select
    mix,
    digest,
    component,
    (length - 1) // width * width + 1 as tokens_from,
    (length - 1) // width * width + width as tokens_to,
    count(*) as draws,
    sum(length)::bigint as tokens,
    sum(labels)::bigint as label_tokens
from sized
join bins using (mix, digest)
where reason is null
group by mix, digest, component, tokens_from, tokens_to
order by mix, digest, component, tokens_from
