-- Every row of an ingested dataset, failed ones too: their names tell their pictures all the same.
select *
from all_samples
where dataset = $dataset
order by shard, row, sample_id
