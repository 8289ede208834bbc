-- The samples of one component that are members of a conversation, conversation by conversation, each in its place.
select m.conversation, c.*
from members m
join curated c on c.sample_id = m.sample_id
where c.job = $job and c.recipe = $recipe
order by m.conversation, m.place
