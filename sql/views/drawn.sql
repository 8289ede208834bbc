-- Every sample of every draw: `member` is its id, the draw's own where it is not merged with others; `is_first` of those
-- that are.
select
    m.*,
    unnest(coalesce(m.members, [m.sample_id])) as member,
    unnest(range(coalesce(len(m.members), 1))) = 0 as is_first
-- Files of older plans lack columns.
from (from mixed union all by name select null::varchar[] as members where false) m
