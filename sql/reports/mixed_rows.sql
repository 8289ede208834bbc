-- The samples of one mix in order of step, rank, pack and slot, as an exporter takes them, those that are merged in one
-- draw one after another; a record of a file of others has its place there, and none of the columns of a sample. Of
-- those only what an exporter reads.
with plan as (
    select
        component, job as from_job, recipe as from_recipe, sample_id as drawn, step, rank, pack, slot,
        n_text_tok + n_img_tok as length,
        unnest(coalesce(members, [sample_id])) as member,
        unnest(range(coalesce(len(members), 1))) as place,
        unnest(coalesce(member_offsets, [record_offset])) as record_offset,
        unnest(coalesce(member_bytes, [record_bytes])) as record_bytes
    -- Files of older plans lack columns.
    from (
        from mixed
        union all by name
        select null::varchar[] as members, null::bigint[] as member_offsets, null::bigint[] as member_bytes where false
    )
    where mix = $mix and digest = $digest and pack is not null
)
select
    p.*, c.augmented,
    c.sample_id, c.dataset, c.shard, c.row, c.source_key, c.transforms, c.affine, c.images,
    c.text, c.conversations, c.regions, c.relations, c.source_meta
from plan p
join curated c on c.job = p.from_job and c.recipe = p.from_recipe and c.sample_id = p.member
union all by name
select *
from plan
where record_bytes is not null
order by step, rank, pack, slot, place
