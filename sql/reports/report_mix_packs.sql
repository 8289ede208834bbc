-- Some two dozen packs of the last plan of each mix, evenly apart: the tokens of each sample in its slot.
with plan as (
    select distinct job as mix, digest from runs where latest and kind = 'mix'
),

spread as (
    select mix, digest, ceil((max(pack) + 1) / 24)::bigint as every
    from mixed
    join plan using (mix, digest)
    where pack is not null
    group by mix, digest
)

select mix, digest, pack, slot, component, n_text_tok + n_img_tok as tokens
from mixed
join spread using (mix, digest)
where pack % every = 0
order by mix, digest, pack, slot
