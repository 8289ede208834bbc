-- Children that an augmentation refused to make, a few of every reason, by the hash of their ids.
with ranked as (
    select
        recipe, error, error_detail, text, parent_id,
        count(*) over (partition by recipe, error) as "rows",
        row_number() over (partition by recipe, error order by md5(sample_id), sample_id) as turn
    from children
    where dataset = $dataset and digest = $digest and status <> 'ok'
)
select recipe, error, error_detail, text, parent_id, "rows"
from ranked
where turn <= $limit
order by "rows" desc, recipe, error, turn
