-- Hosts that pictures of one dataset came from: how many rows each was asked for, and how many failed.
select
    regexp_extract(url, '^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)', 1) as host,
    count(*) as asked,
    count(*) filter (status <> 'ok') as failed
from all_samples
where dataset = $dataset and url is not null
group by host
order by failed desc, asked desc, host
