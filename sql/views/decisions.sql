-- One row per sample and set of filters: kept, or the first reason why not.
select
    dataset, digest, sample_id,
    count(reason) = 0 as kept,
    arg_min(reason, place) filter (where reason is not null) as reason,
    arg_min(filter, place) filter (where reason is not null) as filter
from verdicts
group by all
