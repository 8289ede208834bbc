-- Records of files of others, and where each lies: `mix` is null of those that were measured, whether drawn or not.
select * from (
    select
        mix::varchar as mix,
        digest::varchar as digest,
        component::varchar as component,
        job::varchar as job,
        dataset::varchar as dataset,
        unnest(coalesce(members, [sample_id])) as sample_id,
        unnest(coalesce(member_offsets, [record_offset])) as record_offset,
        unnest(coalesce(member_bytes, [record_bytes])) as record_bytes
    -- Files of older plans lack columns.
    from (from mixed union all by name select
        null::varchar[] as members, null::bigint as record_offset, null::bigint as record_bytes,
        null::bigint[] as member_offsets, null::bigint[] as member_bytes where false)
    union all by name
    select dataset::varchar as dataset, sample_id, record_offset, record_bytes
    from (from token_counts union all by name select null::bigint as record_offset, null::bigint as record_bytes where false)
) where record_offset is not null
