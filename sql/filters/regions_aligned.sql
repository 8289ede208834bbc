-- Keeps samples whose every box agrees with its phrase: CLIP similarity, a cosine, of at least $min_region.
-- Where no region has a box the column is NaN or NULL, and the sample is kept.
select
    sample_id,
    case
        when score.sample_id is null then 'unscored'
        when not isnan(score.min_region_similarity) and score.min_region_similarity < $min_region then 'region_clip_low'
    end as reason
from samples
left join region_similarity as score using (sample_id)
