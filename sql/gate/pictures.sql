-- What each candidate's picture is the same by: its bytes (of a derived one its parent's), its number in a collection.
-- Samples of several pictures are compared by all of them in order. What was moved otherwise is another picture,
-- unless `copies`.
with known as (
    select
        f.place, f.ids, f.origins, len(f.origins) as pictures,
        case when $copies then '' else f.chain end as chain
    from facts f
),
singles as (
    select k.place, k.chain, coalesce(j.same, k.id) as value
    from (select place, chain, unnest(ids) as id from known where pictures <= 1) k
    left join joins j on j.id = k.id
),
several as (
    select k.place, any_value(k.chain) as chain, string_agg(coalesce(j.same, k.id), ' ' order by k.number) as value
    from (
        select place, chain, unnest(ids) as id, unnest(range(len(ids))) as number
        from known
        where pictures > 1 and len(ids) = pictures
    ) k
    left join joins j on j.id = k.id
    group by k.place
),
bytes as (
    select place, chain, lower(array_to_string(origins, ' ')) as value
    from known
    where pictures > 0 and not list_contains(list_transform(origins, lambda sha: coalesce(sha, '') = ''), true)
)
select place, chain || '/' || value as key from singles
union all
select place, chain || '/' || value from several
union all
select place, chain || '/' || value from bytes
