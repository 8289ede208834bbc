-- Failed rows of one dataset by cause and host, most first.
select
    error,
    coalesce(nullif(regexp_extract(url, '^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)', 1), ''), '') as host,
    count(*) as "rows",
    min(left(error_detail, 200)) as example
from all_samples
where dataset = $dataset and status <> 'ok'
group by error, host
order by "rows" desc, error, host
