-- Every sample of every draw: `member` is its id, the draw's own where it is not merged with others.
select m.*, unnest(coalesce(m.members, [m.sample_id])) as member
-- Files of older plans lack columns.
from (from mixed union all by name select null::varchar[] as members where false) m
