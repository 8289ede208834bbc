-- What came of every row that was asked for: by cause, by host (the fifty largest) and by hour of the fetch.
with asked as (
    select
        dataset,
        status,
        error,
        regexp_extract(url, '^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)', 1) as host,
        replace(left(fetched_at, 13), 'T', ' ') || 'h' as hour
    from all_samples
),

facets as (
    select dataset, status, error, 'cause' as facet, coalesce(error, 'ok') as what from asked
    union all
    select dataset, status, error, 'host', host from asked where host <> ''
    union all
    select dataset, status, error, 'hour', hour from asked where hour is not null
)

select
    dataset,
    facet,
    what,
    count(*) as "rows",
    count(*) filter (status = 'ok') as ok,
    round(count(*) filter (status = 'ok') / count(*), 4) as share,
    coalesce(mode(error) filter (status <> 'ok'), '') as usual_cause
from facets
group by dataset, facet, what
qualify facet <> 'host' or row_number() over (partition by dataset, facet order by count(*) desc, what) <= 50
order by dataset, facet, case when facet = 'hour' then what end, "rows" desc, what
