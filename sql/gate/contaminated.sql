-- Which candidates show a picture of a benchmark: by the picture's number, its URL, or its very bytes.
-- Of a URL the scheme, the host's case, the usual port and the fragment do not count, nor the query of a picture file.
with joined as (
    select f.place, coalesce(j.same, f.id) as value
    from (select place, unnest(ids) as id from facts) f
    left join joins j on j.id = f.id
),
addresses as (
    select place, null as benchmark, unnest(urls) as url from facts
    union all
    select null, benchmark, url from evals where url is not null
),
bare as (
    select
        place, benchmark,
        regexp_replace(regexp_replace(trim(url), '^[A-Za-z][A-Za-z0-9+.-]*://', ''), '#.*$', '', 's') as url
    from addresses
),
split as (
    select
        place, benchmark,
        regexp_replace(lower(split_part(url, '/', 1)), ':(80|443)$', '') as host,
        regexp_replace(
            url[len(split_part(url, '/', 1)) + 1:], '(\.(jpe?g|png|webp|gif|bmp|tiff?))\?.*$', '\1', 'is'
        ) as path
    from bare
),
candidate_marks as (
    select place, 'picture_id' as by, value from joined
    union all
    select place, 'url', host || path from split where benchmark is null
    union all
    select place, 'sha256', lower(unnest(list_distinct(list_concat(shas, origins)))) from facts
),
benchmark_marks as (
    select e.benchmark, 'picture_id' as by, coalesce(j.same, e.picture_id) as value
    from evals e
    left join joins j on j.id = e.picture_id
    union all
    select benchmark, 'url', host || path from split where benchmark is not null
    union all
    select benchmark, 'sha256', lower(sha256) from evals
)
select distinct c.place, b.benchmark, b.by
from candidate_marks c
join benchmark_marks b on b.by = c.by and b.value = c.value
where c.value <> '' and list_contains($by, c.by)
order by all
