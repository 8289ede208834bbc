-- What the last plan of each mix leaves out, by component and reason.
with plan as (
    select distinct job as mix, digest from runs where latest and kind = 'mix'
)
select mix, digest, component, reason, count(*) as candidates
from mixed
join plan using (mix, digest)
where reason is not null
group by mix, digest, component, reason
order by mix, digest, component, candidates desc, reason
