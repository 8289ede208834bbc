-- One row per box: its sample, its phrase, and its corners in [0, 1] of the upright picture.
with flat as (
    select sample_id, dataset, unnest(regions) as region
    from all_samples
    where status = 'ok'
)
select
    sample_id, dataset, region.phrase as phrase, region.score as score, region.tags as tags,
    unnest(region.boxes, recursive := true)
from flat
