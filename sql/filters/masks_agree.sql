-- Keeps samples whose boxes fit their masks, and whose masks are stable; the first fault is the reason.
-- Ours, as nothing is published: min_mask_iou 0.9, min_mask_fill 0.05. min_stability 0.95 and min_predicted_iou 0.88
-- are the defaults of SA-1B's own generator (segment_anything/automatic_mask_generator.py).
-- A sample without masks is kept. isnan first: DuckDB sorts NaN above every number.
select
    sample_id,
    case
        when score.mask_count is null then 'unscored'
        when score.bad_masks > 0 then 'mask_unreadable'
        when not isnan(score.min_mask_iou) and score.min_mask_iou < $min_mask_iou then 'mask_apart'
        when not isnan(score.min_mask_fill) and score.min_mask_fill < $min_mask_fill then 'mask_thin'
        when not isnan(score.min_stability) and score.min_stability < $min_stability then 'mask_unstable'
        when not isnan(score.min_predicted_iou) and score.min_predicted_iou < $min_predicted_iou then 'mask_doubtful'
    end as reason
from samples
left join mask_agreement as score using (sample_id)
