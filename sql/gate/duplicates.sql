-- Candidates of the same pictures, byte for byte, moved alike, with the same words as one before them, and that one.
-- Pictures that are not at hand are the same by their number in a collection, else by their names.
-- What has neither picture nor words has nothing to be compared by.
with marked as (
    select
        place, chain, words,
        case
            when len(shas) > 0 then lower(array_to_string(shas, ' '))
            when len(ids) > 0 then array_to_string(ids, ' ')
            else coalesce(shown, '')
        end as pixels
    from facts
    where not list_contains(list_transform(shas, lambda sha: coalesce(sha, '') = ''), true)
        and (len(shas) > 0 or has_words)
)
select m.place, g.first
from marked m
join (
    select pixels, chain, words, min(place) as first
    from marked
    group by all
    having count(*) > 1
) g on g.pixels = m.pixels and g.chain = m.chain and g.words = m.words
where g.first < m.place
order by m.place
