-- What the last run of one job kept and derived, as an exporter takes it.
select
    job as component, augmented,
    sample_id, dataset, shard, row, source_key, transforms, affine, images,
    text, conversations, regions, relations, source_meta
from curated
where job = $job
order by dataset, shard, row, recipe, sample_id
