-- Children of one augmentation, those whose words changed first, then by the hash of their parents' ids.
with chosen as (
    select c.parent_id, max((c.text is distinct from p.text)::integer) as changed
    from children c
    join all_samples p on p.dataset = c.dataset and p.sample_id = c.parent_id
    where c.dataset = $dataset and c.digest = $digest and c.status = 'ok'
    group by c.parent_id
    order by changed desc, md5(c.parent_id), c.parent_id
    limit $limit
)
select c.*
from children c
join chosen k on k.parent_id = c.parent_id
where c.dataset = $dataset and c.digest = $digest and c.status = 'ok'
order by k.changed desc, md5(c.parent_id), c.parent_id, c.recipe
