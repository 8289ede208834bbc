-- Kept or dropped samples of one job, each reason in its turn, by the hash of their ids.
with ranked as (
    select
        sample_id, dataset, reason, filter,
        row_number() over (partition by reason order by md5(sample_id), sample_id) as turn
    from outcomes
    where job = $job and status = 'ok' and kept = $kept and ($reason is null or reason = $reason)
)
select s.*, r.reason as drop_reason, r.filter as drop_filter
from ranked r
join all_samples s on s.dataset = r.dataset and s.sample_id = r.sample_id
order by r.turn, md5(s.sample_id), s.sample_id
limit $limit
