-- Keeps samples with at least one box.
select
    sample_id,
    case
        when stats.box_count is null then 'unscored'
        when stats.box_count = 0 then 'no_boxes'
    end as reason
from samples
left join box_stats as stats using (sample_id)
