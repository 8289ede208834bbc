-- The pictures that derived candidates were made of.
select c.place, any_value(s.images) as images
from derived c
join all_samples s on s.dataset = c.dataset and s.sample_id = c.parent_id
where c.parent_id is not null
group by c.place
