-- Candidates of the same pictures, moved alike, with the same words as one before them, and that one.
-- Pictures are the same byte for byte. Those that are not stored here, but lie beside a file of records, are the same
-- by their number in a collection too, and where neither is known by their names.
-- What has neither picture nor words has nothing to be compared by.
with whole as (
    select *, len(shas) > 0 and not list_contains(list_transform(shas, lambda sha: coalesce(sha, '') = ''), true) as is_known
    from facts
),
marked as (
    select place, chain, words, 'bytes' as way, lower(array_to_string(shas, ' ')) as pixels
    from whole
    where is_known
    union all
    select place, chain, words, 'number', array_to_string(ids, ' ')
    from whole
    where len(ids) > 0 and (len(shas) = 0 and has_words or is_known and shown is not null)
    union all
    select place, chain, words, 'number', coalesce(shown, '')
    from whole
    where len(ids) = 0 and len(shas) = 0 and has_words
)
select m.place, g.first
from marked m
join (
    select way, pixels, chain, words, min(place) as first
    from marked
    group by all
    having count(*) > 1
) g on g.way = m.way and g.pixels = m.pixels and g.chain = m.chain and g.words = m.words
where g.first < m.place
order by all
