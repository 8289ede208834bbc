-- Keeps samples whose boxes say where things are: beside good_boxes, what a detector gets wrong as a whole.
-- Nothing is published for these limits; the usual ones are ours (min_side: px, half a patch of a ViT at 336).
-- usual: max_whole 0
-- usual: min_side 8
-- usual: max_aspect 20
-- usual: max_per_phrase 10
-- usual: max_same_pairs 2
-- usual: max_cross_iou 1
-- A sample without boxes is kept (has_boxes asks for them). isnan first: DuckDB sorts NaN above every number.
select
    sample_id,
    case
        when stats.box_count is null then 'unscored'
        when stats.whole_picture_boxes > $max_whole then 'box_whole_picture'
        when not isnan(stats.min_box_side_px) and stats.min_box_side_px < $min_side then 'box_side_small'
        when not isnan(stats.max_box_aspect) and stats.max_box_aspect > $max_aspect then 'box_thin'
        when stats.max_phrase_boxes > $max_per_phrase then 'phrase_many_boxes'
        when stats.cross_phrase_pairs > $max_same_pairs then 'phrases_share_boxes'
        when not isnan(stats.max_cross_phrase_iou) and stats.max_cross_phrase_iou > $max_cross_iou
            then 'phrases_share_box'
    end as reason
from samples
left join box_stats as stats using (sample_id)
