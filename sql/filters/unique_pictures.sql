-- Keeps the first sample (by shard, then row) of each picture, byte for byte, in the whole dataset.
-- `samples` is the shard in hand, `corpus` every good sample; a sample without a picture is kept.
with first_of as (
    select images[1].sha256 as sha256, min_by(sample_id, (shard, row, sample_id)) as sample_id
    from corpus
    where status = 'ok' and images[1].sha256 in (select images[1].sha256 from samples)
    group by all
)
select
    samples.sample_id,
    case when first_of.sample_id <> samples.sample_id then 'duplicate_picture' end as reason
from samples
left join first_of on first_of.sha256 = samples.images[1].sha256
