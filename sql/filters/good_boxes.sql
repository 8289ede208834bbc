-- Keeps samples whose boxes can all be trusted; the first fault is the reason. Areas are shares of the picture.
-- A sample without boxes is kept (has_boxes asks for them), so is one whose source gave no scores.
-- isnan first: DuckDB sorts NaN above every number.
select
    sample_id,
    case
        when stats.box_count is null then 'unscored'
        when stats.inverted_boxes > 0 then 'box_inverted'
        when not isnan(stats.min_box_area) and stats.min_box_area < $min_area then 'box_too_small'
        when not isnan(stats.max_box_area) and stats.max_box_area > $max_area then 'box_too_large'
        when not isnan(stats.max_out_of_frame) and stats.max_out_of_frame > $max_out_of_frame then 'box_out_of_frame'
        when not isnan(stats.max_duplicate_iou) and stats.max_duplicate_iou > $max_duplicate_iou then 'box_duplicate'
        when not isnan(stats.min_box_score) and stats.min_box_score < $min_score then 'box_score_low'
    end as reason
from samples
left join box_stats as stats using (sample_id)
