-- Keeps samples whose picture and text agree: CLIP similarity, a cosine, of at least $min_clip.
select
    sample_id,
    case
        when score.clip_similarity is null or isnan(score.clip_similarity) then 'unscored'
        when score.clip_similarity < $min_clip then 'clip_low'
    end as reason
from samples
left join clip_similarity as score using (sample_id)
